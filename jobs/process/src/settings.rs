//! Settings from environment variables. Every mistake is collected and all are reported at once, so
//! that a wrong deployment is mended in one go, and a process never starts half configured.
//!
//! A variable that is set but empty counts as not set. Values are never repeated in a report: a URL
//! can carry a password.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

/// Reads variables and remembers what is wrong with them. Ask for all, then call [`Settings::finish`].
#[derive(Default)]
pub struct Settings {
    variables: BTreeMap<String, String>,
    /// Set, but not UTF-8.
    unreadable: BTreeSet<String>,
    mistakes: Vec<String>,
}

impl Settings {
    /// The variables of this process.
    #[must_use]
    pub fn from_env() -> Self {
        let mut settings = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => settings.variables.insert(name, value).is_some(),
                Err(_) => settings.unreadable.insert(name),
            };
        }
        settings
    }

    /// Given variables, for tests and for processes that start others.
    #[must_use]
    pub fn from_map(map: BTreeMap<String, String>) -> Self {
        Self { variables: map, ..Self::default() }
    }

    /// The value of `name`, if it is set. A value that cannot be read is a mistake, and `None`.
    pub fn optional<T: FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: Display,
    {
        let parsed = self.raw(name)?.parse();
        parsed.map_err(|error| self.mistakes.push(format!("{name} cannot be used: {error}"))).ok()
    }

    /// The value of `name`, or `default` where it is not set (or unreadable, which is a mistake).
    pub fn or<T: FromStr>(&mut self, name: &'static str, default: T) -> T
    where
        T::Err: Display,
    {
        self.optional(name).unwrap_or(default)
    }

    /// The value of `name`. Not set is a mistake; `hint` says what to set it to.
    pub fn required<T: FromStr>(&mut self, name: &'static str, hint: &'static str) -> Option<T>
    where
        T::Err: Display,
    {
        self.insist(name, hint);
        self.optional(name)
    }

    /// The secret in `name`, if it is set.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.raw(name).map(SecretString::from)
    }

    /// The secret in `name`. Not set is a mistake; `hint` says where to get it.
    pub fn required_secret(&mut self, name: &'static str, hint: &'static str) -> Option<SecretString> {
        self.insist(name, hint);
        self.secret(name)
    }

    /// A duration, given in whole milliseconds.
    pub fn duration_ms(&mut self, name: &'static str, default_ms: u64) -> Duration {
        Duration::from_millis(self.or(name, default_ms))
    }

    /// A switch: `true`, `false`, `1` or `0`.
    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.raw(name).as_deref() {
            None => default,
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(_) => {
                self.mistake(name, "must be true, false, 1 or 0");
                default
            }
        }
    }

    /// Records a mistake found by the caller, such as settings that contradict each other. `text`
    /// says what to do; it must not repeat a secret.
    pub fn mistake(&mut self, name: &'static str, text: impl Into<String>) {
        self.mistakes.push(format!("{name}: {}", text.into()));
    }

    /// Call once everything has been asked for.
    ///
    /// # Errors
    /// [`Mistakes`], all of them, in the order they were found.
    pub fn finish(self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }

    fn insist(&mut self, name: &'static str, hint: &str) {
        let is_set = self.variables.get(name).is_some_and(|value| !value.is_empty());
        if !is_set && !self.unreadable.contains(name) {
            self.mistakes.push(format!("{name} is not set: {hint}"));
        }
    }

    fn raw(&mut self, name: &'static str) -> Option<String> {
        if self.unreadable.contains(name) {
            self.mistake(name, "is not valid UTF-8");
        }
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

/// Everything that is wrong with the settings, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// One line per mistake; each names the variable and says what to do.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::from_map(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn values_are_read_and_defaults_fill_the_gaps() {
        let mut settings = settings(&[("PORT", "8080"), ("STRICT", "0"), ("WAIT_MS", "250"), ("EMPTY", "")]);
        assert_eq!(settings.required::<u16>("PORT", "a port"), Some(8080));
        assert_eq!(settings.or("MISSING", 3_u8), 3);
        assert_eq!(settings.or("EMPTY", 4_u8), 4);
        assert!(!settings.flag("STRICT", true));
        assert_eq!(settings.duration_ms("WAIT_MS", 1), Duration::from_millis(250));
        assert!(settings.secret("EMPTY").is_none());
        assert_eq!(settings.finish(), Ok(()));
    }

    #[test]
    fn all_mistakes_are_reported_at_once_and_name_variable_and_remedy() {
        let mut settings = settings(&[("PORT", "http"), ("STRICT", "maybe"), ("KEY", "hunter2")]);
        settings.required::<String>("DATABASE_URL", "postgres://user@host/database");
        settings.required_secret("API_KEY", "copy it from the provider's dashboard");
        assert_eq!(settings.or("PORT", 80_u16), 80);
        assert!(settings.flag("STRICT", true));
        assert!(settings.secret("KEY").is_some());
        settings.mistake("KEY", "is not 32 characters long");
        let mistakes = settings.finish().unwrap_err();
        assert_eq!(
            mistakes.lines(),
            [
                "DATABASE_URL is not set: postgres://user@host/database",
                "API_KEY is not set: copy it from the provider's dashboard",
                "PORT cannot be used: invalid digit found in string",
                "STRICT: must be true, false, 1 or 0",
                "KEY: is not 32 characters long",
            ]
        );
        assert_eq!(mistakes.to_string().lines().count(), 6);
        assert!(!mistakes.to_string().contains("hunter2"));
    }
}
