//! The API as a whole: every operation of the document, whoever asks.

mod agents;
mod events;
mod hears;
mod limits;
mod records;
mod scopes;
mod secrets;
mod tls;

use super::*;

/// Keys of every scope; `more` may add to it.
fn with_keys(ai: SocketAddr, more: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n{more}\n\
         [[http.keys]]\nname = \"own\"\nkey = \"own-key\"\nscope = \"ai\"\nagent = \"assistant\"\n\
         [[http.keys]]\nname = \"other\"\nkey = \"other-key\"\nscope = \"ai\"\nagent = \"second\"\n\
         [[http.keys]]\nname = \"desk\"\nkey = \"desk-key\"\nscope = \"desk\"\n\
         [[http.keys]]\nname = \"admin\"\nkey = \"admin-key\"\nscope = \"admin\"\n\
         [[ai_agents]]\nname = \"assistant\"\nuri = \"sip:ai@{ai}\"\n\
         [[ai_agents]]\nname = \"second\"\nuri = \"sip:ai@127.0.0.1:9\"\n\
         [[trunks]]\nname = \"carrier\"\nai_agent = \"assistant\"\n\
         [[targets]]\nname = \"support\"\nuri = \"sip:human@127.0.0.1:9\"\n"
    )
}

/// Asks for a handoff and waits until it is over: nobody has the target's port.
async fn closed_handoff(api: &Api, call: &str) -> Value {
    let asked = json!({ "mode": "warm", "reason": "asked for a human" });
    let asked = api
        .json(Method::POST, &format!("/v1/calls/{call}/handoffs"), asked)
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let path = format!("/v1/handoffs/{}", asked.body["id"].as_str().expect("an id"));
    loop {
        let record = api.get(&path).await.body;
        if !record["closed_at"].is_null() {
            return record;
        }
    }
}
