//! Says when Opus is encoded with another complexity: what callers hear is a little better or worse from then on.

/// At 8 and at 16 kHz, as it was told last.
#[derive(Debug)]
pub(super) struct Effort([u8; 2]);

impl Effort {
    /// What it begins with is in the configuration.
    pub(super) fn new(now: [u8; 2]) -> Effort {
        Effort(now)
    }

    pub(super) fn tell(&mut self, now: [u8; 2]) {
        if let Some(words) = self.change(now) {
            tracing::info!("{words}");
        }
    }

    fn change(&mut self, now: [u8; 2]) -> Option<String> {
        let before = std::mem::replace(&mut self.0, now);
        let changed = |at: usize, what| {
            let (from, to) = (before[at], now[at]);
            (from != to).then(|| format!("{what} with complexity {to} instead of {from}"))
        };
        let parts: Vec<_> = [changed(0, "at 8 kHz"), changed(1, "at 16 kHz")]
            .into_iter()
            .flatten()
            .collect();
        let less = before.iter().sum::<u8>() > now.iter().sum();
        let why = match less {
            true => "so that budget.transcode_share carries what there is of it",
            false => "since there is less of it",
        };
        (!parts.is_empty()).then(|| format!("Opus is encoded {}, {why}", parts.join(" and ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_once_with_its_reason() {
        let mut effort = Effort::new([5, 5]);
        assert_eq!(effort.change([5, 5]), None);
        assert_eq!(
            effort.change([3, 1]).as_deref(),
            Some(
                "Opus is encoded at 8 kHz with complexity 3 instead of 5 and at 16 kHz with complexity 1 instead of 5, so that \
                 budget.transcode_share carries what there is of it"
            )
        );
        assert_eq!(effort.change([3, 1]), None);
        assert_eq!(
            effort.change([3, 5]).as_deref(),
            Some("Opus is encoded at 16 kHz with complexity 5 instead of 1, since there is less of it")
        );
    }
}
