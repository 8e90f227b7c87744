//! `/v1/targets`: whom calls can be handed to.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::auth::Principal;
use super::{Answered, Context, document};
use crate::config::Target;

/// All of them. How a human is reached is nothing that an AI needs to know: it names them.
pub(super) async fn list(State(shared): Context, principal: Principal) -> Answered {
    let targets: Vec<Value> = shared
        .settings()
        .targets
        .iter()
        .map(|target| view(target, principal.is_ai()))
        .collect();
    let answer = json!({ "schema": "baton.targets/1", "targets": targets });
    Ok(document(StatusCode::OK, &answer))
}

fn view(target: &Target, name_only: bool) -> Value {
    let mut view = json!({ "name": target.name, "ring_s": target.ring.as_secs() });
    if let Some(machine) = target.machine {
        view[machine.name()] = true.into();
    } else if !name_only {
        view["uri"] = target.uri.clone().into();
        view["next_hop"] = target.next_hop.to_string().into();
    }
    view
}
