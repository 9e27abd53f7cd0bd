//! Pages of a listing: opaque offsets that expire, the cut, and the envelope.
//!
//! An offset contains the sort key of the last row, not a number of rows, so rows that appear or disappear between two
//! pages do not shift the others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::gid::Gid;
use crate::random::mix;
use crate::refusal::Refusal;
use crate::time::Timestamp;

const HEADER: &str = "{\"typ\":\"JWT\",\"alg\":\"HS256\"}";

/// The token for the page after a sort key. It expires, and is valid only for its own listing.
pub(crate) fn offset(border: u64, listing: &str, now: Timestamp, expires: Timestamp) -> String {
    let payload = format!(
        "{{\"border_rank\":\"[{border}]\",\"iat\":{},\"exp\":{}}}",
        now.0.div_euclid(1000),
        expires.0.div_euclid(1000)
    );
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
    let signature = signature(&signed, listing);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The sort key in a token.
pub(crate) fn border(token: &str, listing: &str, now: Timestamp) -> Result<u64, Refusal> {
    let invalid = || Refusal::new(400, "offset: Your pagination token is invalid.");
    let (signed, given) = token.rsplit_once('.').ok_or_else(invalid)?;
    if given != URL_SAFE_NO_PAD.encode(signature(signed, listing)) {
        return Err(invalid());
    }
    let payload = signed.rsplit_once('.').and_then(|(_, payload)| URL_SAFE_NO_PAD.decode(payload).ok());
    let payload: serde_json::Value =
        payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(invalid)?;
    let expires = payload["exp"].as_i64().ok_or_else(invalid)?;
    if now.0.div_euclid(1000) >= expires {
        return Err(Refusal::expired_offset());
    }
    let rank = payload["border_rank"].as_str().ok_or_else(invalid)?;
    rank.trim_matches(['[', ']']).parse().map_err(|_| invalid())
}

/// Not a secret: it only detects invented tokens and those of another listing.
fn signature(signed: &str, listing: &str) -> [u8; 32] {
    let mut digest = [0_u8; 32];
    for (lane, chunk) in digest.chunks_exact_mut(8).enumerate() {
        let mut state = mix(lane as u64 + 1);
        for byte in signed.bytes().chain([0]).chain(listing.bytes()) {
            state = mix(state ^ u64::from(byte));
        }
        chunk.copy_from_slice(&state.to_be_bytes());
    }
    digest
}

/// A cut of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub rows: Vec<(u64, Gid)>,
    /// Sort key of the last row, if more rows follow.
    pub border: Option<u64>,
}

/// The first `limit` rows, and whether there are more.
pub(crate) fn cut(mut rows: impl Iterator<Item = (u64, Gid)>, limit: usize) -> Page {
    let mut page = Vec::with_capacity(limit.min(100));
    for row in rows.by_ref() {
        page.push(row);
        if page.len() == limit {
            break;
        }
    }
    let border = match rows.next() {
        Some(_) => page.last().map(|(key, _)| *key),
        None => None,
    };
    Page { rows: page, border }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gid::Kind;

    const LATER: Timestamp = Timestamp(900_000);

    #[test]
    fn an_offset_reads_back_until_it_expires() {
        for border_rank in [0, 17, u64::MAX] {
            let token = offset(border_rank, "/tasks?project=1", Timestamp(0), LATER);
            assert_eq!(border(&token, "/tasks?project=1", Timestamp(899_999)), Ok(border_rank));
            assert_eq!(border(&token, "/tasks?project=1", LATER), Err(Refusal::expired_offset()));
        }
    }

    #[test]
    fn an_offset_of_another_listing_or_of_ones_own_making_is_refused() {
        let token = offset(17, "/tasks?project=1", Timestamp(0), LATER);
        let mut altered = token.clone();
        altered.replace_range(40..41, if &token[40..41] == "A" { "B" } else { "A" });
        for (token, listing) in
            [(&*token, "/tasks?project=2"), (&altered, "/tasks?project=1"), ("", ""), ("x.y.z", "")]
        {
            assert_eq!(border(token, listing, Timestamp(0)).unwrap_err().status, 400);
        }
    }

    #[test]
    fn a_full_last_page_has_no_successor() {
        let rows = |count: u32| (0..count).map(|index| (u64::from(index), Gid::new(Kind::Tag, index)));
        assert_eq!(cut(rows(100), 100).border, None);
        assert_eq!(cut(rows(101), 100).border, Some(99));
        assert_eq!(cut(rows(0), 100), Page { rows: Vec::new(), border: None });
    }
}
