//! A slower network, in words: `?delay=1ms&rate=10gbit` after a server's address.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Url, UrlError};

/// Where a server is, and what network to emulate on the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The server.
    pub url: Url,
    /// The network between, if it is not to be the real one alone.
    pub link: Option<Link>,
}

/// What an emulated network adds to the real one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// Added to a round trip, half of it each way.
    pub delay: Duration,
    /// Most bits a second, each way.
    pub rate: Option<u64>,
}

impl Link {
    /// How long `bytes` occupy the link.
    pub(crate) fn occupied_by(&self, bytes: usize) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(bytes as f64 * 8.0 / rate as f64)
        })
    }
}

impl From<Url> for Address {
    fn from(url: Url) -> Self {
        Self { url, link: None }
    }
}

impl FromStr for Address {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let Some((url, settings)) = text.split_once('?') else {
            return text.parse().map(Url::into);
        };
        let link = link(settings).ok_or_else(|| UrlError::Link(text.into()))?;
        Ok(Self {
            url: url.parse()?,
            link: Some(link),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        let Some(link) = self.link else { return Ok(()) };
        write!(f, "?delay={}us", link.delay.as_micros())?;
        if let Some(rate) = link.rate {
            write!(f, "&rate={rate}bit")?;
        }
        Ok(())
    }
}

fn link(settings: &str) -> Option<Link> {
    let mut link = Link::default();
    for setting in settings.split('&') {
        match setting.split_once('=')? {
            ("delay", value) => link.delay = delay(value)?,
            ("rate", value) => link.rate = Some(rate(value)?),
            _ => return None,
        }
    }
    Some(link)
}

/// A day would be a mistake, and no sum of times may overflow.
const LONGEST: f64 = 3600.0;

fn delay(text: &str) -> Option<Duration> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let seconds = scaled(text, &units)?;
    (seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

fn rate(text: &str) -> Option<u64> {
    let units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
    let bits = scaled(text, &units)?;
    (1e3..=1e15).contains(&bits).then_some(bits as u64)
}

/// A number and the first of the units that ends the text.
fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(number * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        text.parse().expect(text)
    }

    #[test]
    fn a_network_is_read_and_written() {
        let link = Link {
            delay: Duration::from_micros(200),
            rate: Some(10_000_000_000),
        };
        let address = parsed("tcp://gpu1:7461?delay=0.2ms&rate=10gbit");
        assert_eq!(address.url, "tcp://gpu1:7461".parse().unwrap());
        assert_eq!(address.link, Some(link));
        assert_eq!(parsed(&address.to_string()), address);
        assert_eq!(
            parsed("unix:/s?delay=200us&rate=10000mbit").link,
            Some(link)
        );
        assert_eq!(parsed("unix:/s?delay=2s").link.unwrap().rate, None);
        assert_eq!(parsed("unix:/s").link, None);
    }

    #[test]
    fn what_is_no_network_says_what_one_is() {
        for text in [
            "tcp://g:1?",
            "tcp://g:1?delay",
            "tcp://g:1?delay=1",
            "tcp://g:1?delay=-1ms",
            "tcp://g:1?delay=infs",
            "tcp://g:1?delay=2e9s",
            "tcp://g:1?rate=0gbit",
            "tcp://g:1?rate=1gbyte",
            "tcp://g:1?loss=1",
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains("?delay=1ms&rate=10gbit"), "{error}");
        }
        let error = "tcp://g?delay=1ms".parse::<Address>().expect_err("no port");
        assert!(matches!(error, UrlError::HostPort(_)));
    }

    #[test]
    fn bytes_occupy_a_link_for_their_bits() {
        let link = parsed("unix:/s?rate=8mbit").link.unwrap();
        assert_eq!(link.occupied_by(1_000), Duration::from_millis(1));
        assert_eq!(Link::default().occupied_by(1_000), Duration::ZERO);
    }
}
