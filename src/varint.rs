//! Numbers of variable length: small ones take one byte.

/// Appends a number: seven bits per byte, the lowest first; the eighth says that more follow.
pub fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads the number at a position, and moves the position behind it.
pub fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return (number >> shift == bits).then_some(number);
        }
    }
    None
}

/// How many bytes a number takes.
pub fn size(number: u64) -> usize {
    number.checked_ilog2().map_or(1, |last| last as usize / 7 + 1)
}

/// A signed distance as a number: distances upwards are even and downwards odd, so that both are short.
pub fn zigzag(distance: i64) -> u64 {
    ((distance << 1) ^ (distance >> 63)).cast_unsigned()
}

/// The distance that a number stands for.
pub fn unzigzag(number: u64) -> i64 {
    ((number >> 1) ^ (number & 1).wrapping_neg()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_is_read_back_and_takes_as_many_bytes_as_it_says(number: u64, shift in 0..64_u32) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            write(&mut bytes, number);
            prop_assert_eq!(bytes.len(), size(number));
            let mut at = 0;
            prop_assert_eq!(read(&bytes, &mut at), Some(number));
            prop_assert_eq!(at, bytes.len());
            prop_assert_eq!(zigzag(unzigzag(number)), number);
        }
    }

    #[test]
    fn what_has_no_end_or_is_too_large_is_no_number() {
        for bytes in
            [&[][..], &[0x80], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert_eq!(read(bytes, &mut 0), None, "{bytes:?}");
        }
    }
}
