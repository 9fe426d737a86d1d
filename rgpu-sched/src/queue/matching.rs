//! Which functions an event starts.

use crate::function::Function;
use crate::store::ObjectEvent;

/// However functions feed each other, a chain of results ends after this many.
pub const MAX_CHAIN: usize = 64;

/// What an event means for one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Not among its inputs.
    No,
    /// It starts the function.
    Starts,
    /// It would, but a job of the function led to this object, and the function does not allow loops.
    Loop,
    /// It would, but the chain of results is too long to be meant.
    TooDeep,
}

/// Judges one event for one function.
#[must_use]
pub fn match_event(function: &Function, event: &ObjectEvent) -> Match {
    if !function
        .input
        .iter()
        .any(|io| io.name_of(&event.bucket, &event.key).is_some())
    {
        Match::No
    } else if event.chain.0.len() >= MAX_CHAIN {
        Match::TooDeep
    } else if !function.allow_loop && event.chain.0.contains(&function.name) {
        Match::Loop
    } else {
        Match::Starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::parse_yaml;
    use crate::store::{Chain, Creation};
    use crate::time::Timestamp;

    fn function(extra: &str) -> Function {
        let yaml = format!(
            "name: fun\ninput: [{{path: data/in, prefix: [scan], suffix: [.dcm, .ima]}}]\noutput: [{{path: data/in/out}}]\n{extra}"
        );
        let mut spec = parse_yaml(&yaml).unwrap().remove(0);
        spec.script = "true\n".into();
        Function::try_from(spec).unwrap()
    }

    fn event(key: &str, chain: &[&str]) -> ObjectEvent {
        ObjectEvent {
            bucket: "data".into(),
            key: key.into(),
            size: 0,
            etag: String::new(),
            creation: Creation::Put,
            time: Timestamp::from_micros(0),
            sequencer: 1,
            source: String::new(),
            principal: String::new(),
            chain: Chain(chain.iter().map(|&s| s.to_owned()).collect()),
        }
    }

    #[test]
    fn path_prefix_and_suffix_all_count() {
        let f = function("");
        assert_eq!(match_event(&f, &event("in/scan1.dcm", &[])), Match::Starts);
        assert_eq!(
            match_event(&f, &event("in/scan/deep/1.ima", &[])),
            Match::Starts
        );
        for key in [
            "in/scan1.png",
            "in/1.dcm",
            "scan1.dcm",
            "in/",
            "in/scan1.dcm.part",
            "into/scan1.dcm",
        ] {
            assert_eq!(match_event(&f, &event(key, &[])), Match::No, "{key}");
        }
    }

    #[test]
    fn own_results_do_not_start_it_again() {
        let e = event("in/scan1.dcm", &["fun", "other"]);
        assert_eq!(match_event(&function(""), &e), Match::Loop);
        assert_eq!(
            match_event(&function("allow_loop: true"), &e),
            Match::Starts
        );
        assert_eq!(
            match_event(&function(""), &event("in/scan1.dcm", &["other"])),
            Match::Starts
        );
    }

    #[test]
    fn a_loop_that_is_allowed_still_ends() {
        let e = event("in/scan1.dcm", &["fun"; MAX_CHAIN]);
        assert_eq!(
            match_event(&function("allow_loop: true"), &e),
            Match::TooDeep
        );
    }
}
