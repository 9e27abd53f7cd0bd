//! A secret as base64 shows it: encoded by itself, or in the middle of something, such as the header that carries it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter pieces occur by chance.
const TELLING: usize = 12;

/// What is the same of `secret` in base64 whatever stands around it: three bytes make four letters, so what stands
/// before it decides which of three ways it is cut.
pub fn forms(secret: &str) -> Vec<String> {
    let cuts = (0..3).flat_map(|before| {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        // A letter that holds a bit of what is around the secret is not the secret's alone.
        let first = (before * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
            .map(|text| text.get(first..end).unwrap_or_default().to_owned())
    });
    cuts.filter(|form| form.len() >= TELLING).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_is_found_whatever_is_around_it(before in ".{0,9}", secret in "[ -~]{16,50}", after in ".{0,9}") {
            let whole = format!("{before}{secret}{after}");
            for encoded in [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                prop_assert!(forms(&secret).iter().any(|form| encoded.contains(form)), "{encoded}");
            }
        }
    }

    #[test]
    fn what_is_short_is_not_looked_for() {
        assert_eq!(forms("x"), [""; 0]);
        assert_eq!(forms(""), [""; 0]);
    }
}
