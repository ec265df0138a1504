//! A row of the table: what was measured, what it is held against, whether that is reached.

use serde_json::json;

use crate::engine::Engine;
use crate::why;

/// The same thing measured several times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    fn range(&self) -> [f64; 2] {
        let sorted = self.sorted();
        [sorted.first().copied().unwrap_or(f64::NAN), sorted.last().copied().unwrap_or(f64::NAN)]
    }
}

/// What is to be reached.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// At least so many times the first reference.
    Ratio(f64),
    /// At most this.
    AtMost(f64),
    /// Exactly this.
    Exactly(f64),
    /// Shown, not judged.
    Shown,
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) row: &'static str,
    /// What it says, for a reader.
    pub(crate) about: String,
    pub(crate) unit: &'static str,
    pub(crate) series: Series,
    /// Measured in the same run, turn by turn. The first is what a ratio speaks of.
    pub(crate) references: Vec<(String, Series)>,
    pub(crate) target: Target,
}

impl Measured {
    /// A row from what was measured of each engine, ours among them.
    pub(crate) fn of(
        row: &'static str,
        about: impl Into<String>,
        unit: &'static str,
        engines: &[(Engine, Series)],
        target: Target,
    ) -> Self {
        let ours = engines.iter().find(|(engine, _)| *engine == Engine::Ours);
        let others = engines.iter().filter(|(engine, _)| *engine != Engine::Ours);
        Self {
            row,
            about: about.into(),
            unit,
            series: ours.map(|(_, series)| series.clone()).unwrap_or_default(),
            references: others.map(|(engine, series)| (engine.name().to_owned(), series.clone())).collect(),
            target,
        }
    }

    fn reference(&self) -> Option<f64> {
        self.references.first().map(|(_, series)| series.median())
    }

    fn ratio(&self) -> Option<f64> {
        self.reference().map(|reference| self.series.median() / reference)
    }

    fn met(&self) -> Option<bool> {
        match self.target {
            Target::Ratio(least) => self.ratio().map(|ratio| ratio >= least),
            Target::AtMost(most) => Some(self.series.median() <= most),
            Target::Exactly(value) => Some(self.series.range() == [value, value]),
            Target::Shown => None,
        }
    }

    fn target_words(&self) -> String {
        let reference = self.references.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        match self.target {
            Target::Ratio(least) => format!("at least {least} x {reference}"),
            Target::AtMost(most) => format!("at most {}", number(most)),
            Target::Exactly(value) => format!("exactly {}", number(value)),
            Target::Shown => String::new(),
        }
    }

    /// Why it is missed, if it is.
    fn why(&self) -> Option<&'static str> {
        if self.met() == Some(false) { Some(why::missed(self.row)) } else { None }
    }

    /// One object, on one line.
    pub(crate) fn json(&self) -> String {
        let others: serde_json::Map<String, serde_json::Value> = self
            .references
            .iter()
            .map(|(name, series)| (name.clone(), json!(round(series.median()))))
            .collect();
        let [low, high] = self.series.range();
        json!({
            "row": self.row,
            "about": self.about,
            "value": round(self.series.median()),
            "unit": self.unit,
            "range": [round(low), round(high)],
            "reference": self.reference().map(round),
            "references": others,
            "ratio": self.ratio().map(round),
            "target": self.target_words(),
            "met": self.met(),
            "why": self.why(),
        })
        .to_string()
    }

    /// A line of the table.
    pub(crate) fn line(&self) -> String {
        let [low, high] = self.series.range();
        let references: Vec<String> = self
            .references
            .iter()
            .map(|(name, series)| format!("{name} {}", number(series.median())))
            .collect();
        let met = match self.met() {
            Some(true) => "yes".to_owned(),
            Some(false) => format!("**no**: {}", why::missed(self.row)),
            None => String::new(),
        };
        format!(
            "| {} | {} | {} {} | {} to {} | {} | {} | {} | {met} |",
            self.row,
            self.about,
            number(self.series.median()),
            self.unit,
            number(low),
            number(high),
            references.join(", "),
            self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.target_words(),
        )
    }
}

/// The head of the table.
pub(crate) const HEAD: &str = "| row | what | median | range | references (medians) | ratio to the first | target | met |\n\
                               |---|---|---|---|---|---|---|---|";

fn round(value: f64) -> f64 {
    if value.abs() >= 100.0 { value.round() } else { (value * 1_000.0).round() / 1_000.0 }
}

/// With thousands apart, or with as many decimals as mean something.
fn number(value: f64) -> String {
    if value.abs() < 10.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 1_000.0 {
        return if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") };
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
