//! What the kernel can do for us, and what to do where it cannot.

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do where it is not ok; advice where it is.
    pub remedy: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Probe {
    /// In the order of their weight.
    pub findings: Vec<Finding>,
}

impl Probe {
    /// Whether an engine can start.
    pub fn ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.ok)
    }
}

/// Asks the kernel, for a node of this many pairs of ports (one pair for each leg).
pub fn probe(_pairs: usize) -> Probe {
    Probe::default()
}
