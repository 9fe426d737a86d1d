//! Addresses of servers.

use rgpu_transport::Url;

/// What parses as an address prints as one, and means the same again.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(url) = text.parse::<Url>() else { return };
    let shown = url.to_string();
    assert_eq!(shown.parse(), Ok(url), "{text:?} was shown as {shown:?}");
}
