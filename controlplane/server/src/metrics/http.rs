//! Requests of the API.

use std::collections::BTreeMap;
use std::time::Duration;

use super::list;
use super::text::{Histogram, Page};

/// Totals of requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpTotals {
    /// By method, route and status.
    requests: BTreeMap<(&'static str, String, u16), u64>,
    seconds: BTreeMap<String, Histogram>,
}

impl HttpTotals {
    /// `route` is the path's pattern, of which there are few; `None`: it has none.
    pub(crate) fn request(&mut self, method: &str, route: Option<&str>, status: u16, took: Duration) {
        let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        let method = known.into_iter().find(|known| *known == method).unwrap_or("other");
        let route = route.unwrap_or("none").to_owned();
        *self.requests.entry((method, route.clone(), status)).or_default() += 1;
        let seconds = self.seconds.entry(route);
        seconds
            .or_insert_with(|| Histogram::of(&list::HTTP_SECONDS))
            .observe(took);
    }

    pub(super) fn write(&self, page: &mut Page) {
        let mut requests = page.family(&list::HTTP_REQUESTS);
        for ((method, route, status), count) in &self.requests {
            requests.set(&[method, route, &status.to_string()], count);
        }
        let mut seconds = page.family(&list::HTTP_SECONDS);
        for (route, histogram) in &self.seconds {
            seconds.histogram(&[route], histogram);
        }
    }
}
