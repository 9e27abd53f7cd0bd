//! Replaces unpaired surrogates in JSON text.
//!
//! If Asana cuts a text in the middle of an emoji, it sends half of a surrogate pair, such as `\ud83d`. Browsers and
//! Python accept that. Most other JSON readers reject the whole record.

use memchr::memchr;

/// The replacement character. Its escape has the length of the one that it replaces.
const REPLACEMENT: &str = r"\ufffd";

/// `json` with each unpaired half replaced. Offsets in the text stay valid.
pub fn without_halves(mut json: String) -> String {
    for place in halves(json.as_bytes()) {
        json.replace_range(place..place + REPLACEMENT.len(), REPLACEMENT);
    }
    json
}

/// The offsets of unpaired halves.
fn halves(json: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(distance) = memchr(b'\\', &json[place..]) {
        place += distance;
        match (half(json, place), half(json, place + REPLACEMENT.len())) {
            (None, _) => place += 2,
            (Some(Half::First), Some(Half::Second)) => place += 2 * REPLACEMENT.len(),
            (Some(_), _) => {
                found.push(place);
                place += REPLACEMENT.len();
            }
        }
        place = place.min(json.len());
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// The half that is escaped at this offset.
fn half(json: &[u8], place: usize) -> Option<Half> {
    let escape = json.get(place..place + REPLACEMENT.len())?;
    let digits = std::str::from_utf8(escape.strip_prefix(br"\u")?).ok()?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::First),
        0xdc00..=0xdfff => Some(Half::Second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn unpaired_halves_are_replaced_and_pairs_are_not() {
        for (json, expected) in [
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\uD83D""#, r#""\ufffd""#),
            (r#""a\ude00b""#, r#""a\ufffdb""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d \ude00""#, r#""\ufffd \ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\u00e9""#, r#""\u00e9""#),
            (r"\ud8", r"\ud8"),
            (r"é\", r"é\"),
            (r"\u+123", r"\u+123"),
        ] {
            assert_eq!(without_halves(json.to_owned()), expected);
        }
    }

    proptest! {
        #[test]
        fn the_result_is_json_that_every_reader_accepts(units in proptest::collection::vec(0xd7f0_u16..0xe010, 0..8)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let mended = without_halves(format!("\"{escaped}\""));
            let read: Value = serde_json::from_str(&mended).unwrap();
            prop_assert_eq!(read, Value::from(String::from_utf16_lossy(&units)));
        }
    }
}
