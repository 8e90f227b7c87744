-- Who called when, for rules that look at how often somebody did.
CREATE INDEX events_call_started ON events (at_ms) WHERE kind = 'baton.call.started';
