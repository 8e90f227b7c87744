//! Writes Prometheus text: exposition format 0.0.4, the one that every scraper reads.

use std::fmt::{Display, Write as _};
use std::time::Duration;

/// What a metric is, as its row in the list says.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Of its samples, `1` where they only count.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the document, which the tests make"))]
    pub(crate) unit: &'static str,
    pub(crate) labels: &'static [Label],
    pub(crate) help: &'static str,
}

/// What its samples do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }
}

/// A label, and what it can say. No stranger chooses a value: each would be a series that is kept for ever.
#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) name: &'static str,
    pub(crate) values: Values,
}

/// The values of a label.
#[derive(Debug)]
pub(crate) enum Values {
    /// These.
    Of(&'static [&'static str]),
    /// As many as we or the configuration have; says of what.
    Named(#[cfg_attr(not(test), expect(dead_code, reason = "for the document, which the tests make"))] &'static str),
}

/// A text under way.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Begins a family: its samples follow.
    pub(crate) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let Family { name, help, kind, .. } = family;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        Samples { page: self, family }
    }

    /// A family of one sample.
    pub(crate) fn one(&mut self, family: &'static Family, value: impl Display) {
        self.family(family).set(&[], value);
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{name}{suffix}");
        for (number, (label, value)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escape(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

/// The samples of one family.
pub(crate) struct Samples<'p> {
    page: &'p mut Page,
    family: &'static Family,
}

impl Samples<'_> {
    /// Writes a sample; the values stand in the order of the family's labels.
    pub(crate) fn set(&mut self, values: &[&str], value: impl Display) {
        let labels = self.labels(values);
        self.page.line(self.family.name, "", &labels, value);
    }

    /// Writes the samples of a histogram.
    pub(crate) fn histogram(&mut self, values: &[&str], histogram: &Histogram) {
        let labels = self.labels(values);
        let name = self.family.name;
        let mut bucket = |bound: &str, count: u64| {
            let labels = [&labels[..], &[("le", bound)]].concat();
            self.page.line(name, "_bucket", &labels, count);
        };
        for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
            bucket(&bound.to_string(), *count);
        }
        bucket("+Inf", histogram.count);
        self.page.line(name, "_sum", &labels, histogram.sum);
        self.page.line(name, "_count", &labels, histogram.count);
    }

    fn labels<'v>(&self, values: &[&'v str]) -> Vec<(&'static str, &'v str)> {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        let labels = self.family.labels.iter().zip(values);
        labels
            .map(|(label, &value)| {
                if let Values::Of(known) = label.values {
                    debug_assert!(known.contains(&value), "{}: {}={value}", self.family.name, label.name);
                }
                (label.name, value)
            })
            .collect()
    }
}

/// Cumulative counts up to each bound.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    /// One with the bounds of its family; without bounds where that is no histogram.
    pub(crate) fn of(family: &Family) -> Histogram {
        let bounds = match family.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        };
        Histogram {
            bounds,
            counts: vec![0; bounds.len()],
            count: 0,
            sum: 0.0,
        }
    }

    /// One that was counted elsewhere: values in each bucket, the last one above all bounds, and their sum.
    pub(crate) fn counted(family: &Family, buckets: &[u64], sum: f64) -> Histogram {
        let mut histogram = Histogram::of(family);
        let mut below = 0;
        for (count, bucket) in histogram.counts.iter_mut().zip(buckets) {
            below += bucket;
            *count = below;
        }
        histogram.count = buckets.iter().sum();
        histogram.sum = sum;
        histogram
    }

    pub(crate) fn observe(&mut self, value: Duration) {
        let value = value.as_secs_f64();
        self.count += 1;
        self.sum += value;
        for (count, bound) in self.counts.iter_mut().zip(self.bounds) {
            *count += u64::from(value <= *bound);
        }
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_that_were_counted_elsewhere_add_up() {
        let family = Family {
            name: "h",
            kind: Kind::Histogram(&[1.0, 2.0]),
            unit: "s",
            labels: &[],
            help: "",
        };
        let histogram = Histogram::counted(&family, &[3, 0, 4], 30.5);
        assert_eq!((&histogram.counts[..], histogram.count), (&[3, 3][..], 7));
        assert!((histogram.sum - 30.5).abs() < f64::EPSILON);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
