use super::{Header, Malformed, NameAddr, split};

/// Route (RFC 3261 §20.34).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route(pub Vec<NameAddr>);

/// Record-Route (RFC 3261 §20.30).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRoute(pub Vec<NameAddr>);

impl Header for Route {
    const NAME: &'static str = "Route";
    fn parse(value: &str) -> Result<Route, Malformed> {
        split(value, b',')?
            .into_iter()
            .map(NameAddr::parse)
            .collect::<Result<_, _>>()
            .map(Route)
    }
}

impl Header for RecordRoute {
    const NAME: &'static str = "Record-Route";
    fn parse(value: &str) -> Result<RecordRoute, Malformed> {
        split(value, b',')?
            .into_iter()
            .map(NameAddr::parse)
            .collect::<Result<_, _>>()
            .map(RecordRoute)
    }
}
