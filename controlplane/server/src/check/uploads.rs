//! Prompts that the configuration wants uploaded.

use super::{Finding, Level};
use crate::config::Config;
use crate::store::prompts::names;

pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let wanted = config.uploads();
    if wanted.is_empty() {
        return Vec::new();
    }
    // Where the store cannot be read that is said elsewhere.
    let Ok(there) = names(&config.store.place).await else {
        return Vec::new();
    };
    let finding = |(name, keys): (String, Vec<String>)| match there.contains(&name) {
        true => Finding::ok("prompts", format!("{name:?} is uploaded, for {}", keys.join(", "))),
        false => Finding::new(
            Level::Warning,
            "prompts",
            format!(
                "{name:?} is not uploaded yet: {} play what comes with the program (a number: is left out)",
                keys.join(", ")
            ),
            "upload it: PUT /v1/prompts/NAME, with the Content-Type audio/wav",
        ),
    };
    wanted.into_iter().map(finding).collect()
}
