//! Any answer that is no success: a fault with a message that is short and has no secret.

#![no_main]

use airbyte_connector::{Secret, Secrets};
use libfuzzer_sys::fuzz_target;
use source_asana::asana::{Asked, Fault};
use source_asana::sync::{EarlierAccess, Place, consequence};

const TOKEN: &str = "2/1204/567:0123456789abcdef0123456789abcdef";

/// Some more than the longest message, path and advice together.
const LONGEST: usize = 2000;

fuzz_target!(|input: (u16, Option<&str>, &[u8])| {
    let (status, retry_after, body) = input;
    let asked = Asked { endpoint: "/tasks".into(), object: "/tasks".to_owned() };
    let said_after = [body, TOKEN.as_bytes()].concat();
    let secrets = Secrets::default();
    secrets.learn(&Secret::new(TOKEN));
    for body in [body, &said_after] {
        let fault = Fault::of_answer(status, body, retry_after, &asked, &secrets);
        let text = format!("{fault} {fault:?}");
        assert!(!fault.message.is_empty());
        assert!(fault.to_string().chars().count() <= LONGEST, "{fault}");
        assert!(!text.contains("0123456789abcdef0123456789abcdef"), "{text}");
        for place in [Place::Workspaces, Place::Unlisted(EarlierAccess::Yes), Place::Events, Place::Object] {
            consequence(&fault, place);
        }
        fault.retry();
        fault.failure_kind();
    }
});
