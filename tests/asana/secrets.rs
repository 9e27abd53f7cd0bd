//! The token is in no text, whatever form it takes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use source_asana::asana::Secret;

const TOKEN: &str = r#"2/1204/567:ab"c\d e+f|0123456789abcdef0123456789abcdef"#;

#[test]
fn every_form_of_the_token_is_removed() {
    let url = "2%2F1204%2F567%3Aab%22c%5Cd%20e%2Bf%7C0123456789abcdef0123456789abcdef";
    let forms = [
        TOKEN.to_owned(),
        url.to_owned(),
        url.to_lowercase(),
        url.replace("%2F", "/"),
        url.replace("%3A", ":"),
        url.replace("%20", "+"),
        url.replace('%', "%25"),
        serde_json::json!(TOKEN).to_string().trim_matches('"').to_owned(),
        r#"2\/1204\/567:ab\"c\\d e+f|0123456789abcdef0123456789abcdef"#.to_owned(),
        r"2\u002f1204\u002f567\u003aab\u0022c\u005cd\u0020e\u002bf\u007c0123456789abcdef0123456789abcdef"
            .to_owned(),
        "2&#x2F;1204&#x2F;567:ab&quot;c\\d e+f|0123456789abcdef0123456789abcdef".to_owned(),
        format!("{TOKEN:?}"),
        TOKEN.to_uppercase(),
    ];
    let secret = Secret::new(TOKEN);
    for before in ["", ":", "Bearer ", "user:"] {
        let bytes = format!("{before}{TOKEN}!");
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let clean = secret.redact(&encoded);
            assert!(clean.len() < before.len() * 2 + 16, "{encoded}: {clean}");
            assert!(clean.contains("[redacted]"), "{encoded}: {clean}");
        }
    }
    for form in &forms {
        let clean = secret.redact(&format!("before {form} between {form} after"));
        assert!(!clean.to_lowercase().contains("0123456789abcdef"), "{clean}");
        assert!(clean.starts_with("before ") && clean.contains(" between ") && clean.ends_with(" after"));
    }
    for form in &forms[..10] {
        assert_eq!(secret.redact(form), "[redacted]", "all of {form}");
    }
}

#[test]
fn what_is_not_the_token_stays() {
    let secret = Secret::new(TOKEN);
    let text = "GET /projects/1204/sections answered 403: Größe \"x\" %2F";
    assert_eq!(secret.redact(text), text);
    assert_eq!(Secret::new("").redact(text), text);
}

#[test]
fn space_around_a_token_is_not_part_of_it() {
    assert!(Secret::new(" \n").is_empty());
    assert_eq!(Secret::new(" secret\n").redact("a secret is kept"), "a [redacted] is kept");
}

/// Whoever repeats a request may cut it off.
#[test]
fn the_beginning_of_a_long_secret_is_removed_too() {
    let secret = Secret::new(TOKEN);
    for length in 16..TOKEN.len() {
        assert_eq!(secret.redact(&format!("a {}… b", &TOKEN[..length])), "a [redacted]… b");
    }
}

#[test]
fn a_short_secret_is_removed_only_where_it_is_a_word() {
    let secret = Secret::new("1204");
    assert_eq!(secret.redact("project 12045, 91204 and 1204"), "project 12045, 91204 and [redacted]");
    assert_eq!(secret.redact("1204"), "[redacted]");
}

proptest! {
    #[test]
    fn no_escape_of_a_token_survives(
        head in "[0-9]/[0-9]{1,16}(/[0-9]{1,16})?:",
        tail in "[0-9a-f]{32}",
        before in ".{0,20}",
        after in ".{0,20}",
        escape in 0..4,
    ) {
        let token = format!("{head}{tail}");
        let form = match escape {
            0 => token.clone(),
            1 => token.replace('/', "%2F").replace(':', "%3a"),
            2 => token.replace('/', "\\/"),
            _ => serde_json::json!(token).to_string(),
        };
        let clean = Secret::new(&token).redact(&format!("{before}{form}{after}"));
        prop_assert!(!clean.contains(&tail), "{}", clean);
    }
}
