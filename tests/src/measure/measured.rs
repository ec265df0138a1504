//! A row of the table: what was measured, what it is held against, whether that is reached.

use serde_json::json;

/// Who is measured: ours, or what it is held against.
pub trait Side: Copy {
    /// As tables name it.
    fn name(self) -> &'static str;
    /// Whether it is what the row is about.
    fn is_ours(self) -> bool;
}

/// The same thing measured several times.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a measurement.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
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

/// Why targets are missed after honest effort, and where the time goes, by row. Filled in by hand.
pub type Whys = [(&'static str, &'static str)];

/// What is to be reached.
#[derive(Clone, Debug)]
pub enum Target {
    /// At least so many times the first reference.
    Ratio(f64),
    /// At most so many times the first reference.
    AtMostRatio(f64),
    /// At most this.
    AtMost(f64),
    /// Exactly this.
    Exactly(f64),
    /// Shown, not judged.
    Shown,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its name.
    pub row: &'static str,
    /// What it says, for a reader.
    pub about: String,
    /// Of what.
    pub unit: &'static str,
    /// What was measured.
    pub series: Series,
    /// Measured in the same run, turn by turn. The first is what a ratio speaks of.
    pub references: Vec<(String, Series)>,
    /// What is to be reached.
    pub target: Target,
}

impl Measured {
    /// A row from what was measured of each side, ours among them.
    pub fn of<S: Side>(
        row: &'static str,
        about: impl Into<String>,
        unit: &'static str,
        sides: &[(S, Series)],
        target: Target,
    ) -> Self {
        let ours = sides.iter().find(|(side, _)| side.is_ours());
        let others = sides.iter().filter(|(side, _)| !side.is_ours());
        Self {
            row,
            about: about.into(),
            unit,
            series: ours.map(|(_, series)| series.clone()).unwrap_or_default(),
            references: others.map(|(side, series)| (side.name().to_owned(), series.clone())).collect(),
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
            Target::AtMostRatio(most) => self.ratio().map(|ratio| ratio <= most),
            Target::AtMost(most) => Some(self.series.median() <= most),
            Target::Exactly(value) => Some(self.series.range() == [value, value]),
            Target::Shown => None,
        }
    }

    fn target_words(&self) -> String {
        let reference = self.references.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        match self.target {
            Target::Ratio(least) => format!("at least {least} x {reference}"),
            Target::AtMostRatio(most) => format!("at most {most} x {reference}"),
            Target::AtMost(most) => format!("at most {}", number(most)),
            Target::Exactly(value) => format!("exactly {}", number(value)),
            Target::Shown => String::new(),
        }
    }

    /// Why it is missed, if it is.
    fn why(&self, whys: &Whys) -> Option<&'static str> {
        let reason =
            whys.iter().find(|(row, _)| *row == self.row).map_or("not looked into yet", |(_, why)| why);
        (self.met() == Some(false)).then_some(reason)
    }

    /// One object, on one line.
    pub fn json(&self, whys: &Whys) -> String {
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
            "why": self.why(whys),
        })
        .to_string()
    }

    /// A line of the table.
    pub fn line(&self, whys: &Whys) -> String {
        let [low, high] = self.series.range();
        let references: Vec<String> = self
            .references
            .iter()
            .map(|(name, series)| format!("{name} {}", number(series.median())))
            .collect();
        let met = match (self.met(), self.why(whys)) {
            (Some(true), _) => "yes".to_owned(),
            (_, Some(why)) => format!("**no**: {why}"),
            (_, None) => String::new(),
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
pub(super) const HEAD: &str = "| row | what | median | range | references (medians) | ratio to the first | target | met |\n\
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
