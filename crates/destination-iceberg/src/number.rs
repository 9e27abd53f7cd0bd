//! Numbers from JSON text, exactly or not at all. Pure; knows no column.

/// An integer, also one that is spelled `3.0` or `3e2`; nothing with a fraction or beyond 64 bits.
pub fn integer(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| decimal_integer(text))
}

/// A double that is a number; the nearest one, as JSON's numbers have it.
pub fn double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The value of a decimal with a fraction or an exponent, if it is an integer. Digits are shifted, so nothing rounds.
fn decimal_integer(text: &str) -> Option<i64> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if mantissa.len() < 1 + usize::from(mantissa.contains('.')) || !all_digits(whole) || !all_digits(fraction)
    {
        return None;
    }
    let signless = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if signless.is_empty() || !all_digits(signless) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let dropped_zeros = (digits.len() - significant.len()) as i64;
    let exponent: i64 = exponent.parse().ok()?;
    let zeros = exponent.checked_add(dropped_zeros)?.checked_sub(fraction.len() as i64)?;
    const DIGITS_OF_THE_LARGEST: i64 = 19;
    if zeros < 0 || zeros.checked_add(significant.len() as i64)? > DIGITS_OF_THE_LARGEST {
        return None;
    }
    let value = significant.parse::<i128>().ok()? * 10_i128.pow(zeros as u32);
    i64::try_from(if negative { -value } else { value }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_value_or_become_nothing() {
        for (text, value) in [
            ("12", 12),
            ("-0", 0),
            ("3.0", 3),
            ("3e2", 300),
            ("-1.50e1", -15),
            ("1200e-2", 12),
            ("0e999999999999999999999", 0),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("9223372036854775807.000", i64::MAX),
            ("-9.223372036854775808e18", i64::MIN),
            ("0.0000000000000000000000000001e28", 1),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for bad in [
            "3.7",
            "9007199254740991.4",
            "9223372036854775808",
            "9223372036854775808.0",
            "1e19",
            "1e999999999999999999999",
            "5e-1",
            "abc",
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "NaN",
        ] {
            assert_eq!(integer(bad), None, "{bad}");
        }
    }

    #[test]
    fn doubles_are_finite() {
        assert_eq!((double("1.5"), double("1e3")), (Some(1.5), Some(1000.0)));
        for bad in ["1e999", "NaN", "inf"] {
            assert_eq!(double(bad), None, "{bad}");
        }
    }
}
