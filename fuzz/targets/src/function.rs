//! Definitions of functions.

use rgpu_sched::function::{Function, parse_json, parse_yaml};

/// Larger inputs only make the YAML library slow.
const LONGEST: usize = 16 << 10;

/// A definition is read or refused; one that is valid stays valid when it has been through JSON.
pub fn function_yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(LONGEST)]) else {
        return;
    };
    for spec in parse_yaml(text).unwrap_or_default() {
        let Ok(function) = Function::try_from(spec) else {
            continue;
        };
        let _ = function.warnings();
        let json = serde_json::to_vec(function.spec()).expect("a definition has a JSON form");
        let again = parse_json(&json).expect("what we write, we read");
        let again = Function::try_from(again).expect("a valid function stays valid");
        let json_again = serde_json::to_vec(again.spec()).expect("a definition has a JSON form");
        assert_eq!(json_again, json);
        assert!(function.buckets().eq(again.buckets()));
    }
}
