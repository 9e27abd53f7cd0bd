//! Snowflake's key pair: a JWT that is signed with a user's private key (RS256). Knows no network.
//!
//! The claims are those of Snowflake's page "Authenticating Snowflake REST APIs with Snowflake": the issuer is
//! `ACCOUNT.USER.SHA256:fingerprint`, the subject `ACCOUNT.USER`, and Snowflake accepts a JWT for an hour at most.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pkcs8::der::Document;
use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{EncryptedPrivateKeyInfo, ObjectIdentifier, SecretDocument};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::json;

use crate::config::KeyPairConfig;
use crate::failure::{Failure, Result};

/// Below Snowflake's hour, so that clocks may differ by a few minutes.
pub const JWT_LIFE: Duration = Duration::from_secs(55 * 60);
/// `rsaEncryption` of RFC 8017.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

pub struct KeyPair {
    key: rsa::KeyPair,
    issuer: String,
    subject: String,
}

impl KeyPair {
    pub fn read(config: &KeyPairConfig) -> Result<Self> {
        let pem = match (&config.private_key, &config.private_key_file) {
            (Some(text), None) => text.expose().to_owned(),
            (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
                Failure::configuration(format!("the private key file {path:?} cannot be read: {error}"))
            })?,
            (Some(_), Some(_)) => {
                return Err(Failure::configuration(
                    "the config has a private key and a private key file: keep one of them",
                ));
            }
            (None, None) => {
                return Err(Failure::configuration(
                    "a key pair needs a private key: set private_key or private_key_file",
                ));
            }
        };
        let key = parse(&pem, config.passphrase.as_ref().map(|secret| secret.expose()))?;
        let account = account(&config.account);
        let subject = format!("{account}.{}", config.user.to_uppercase());
        let issuer = format!("{subject}.{}", fingerprint(&key)?);
        Ok(Self { key, issuer, subject })
    }

    /// A JWT that is valid from `now` on.
    pub fn sign(&self, now: SystemTime) -> Result<String> {
        let issued_at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({"typ": "JWT", "alg": "RS256"});
        let claims = json!({"iss": self.issuer, "sub": self.subject, "iat": issued_at,
            "exp": issued_at + JWT_LIFE.as_secs()});
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| Failure::system("the JWT cannot be signed"))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The account as the claims spell it: upper case, and a locator without its region and cloud.
fn account(identifier: &str) -> String {
    let identifier = identifier.trim();
    let name = identifier.split_once('.').map_or(identifier, |(locator, _)| locator);
    name.to_uppercase()
}

fn parse(pem: &str, passphrase: Option<&str>) -> Result<rsa::KeyPair> {
    let refuse = |what: &str| Failure::configuration(format!("the private key {what}"));
    if pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(refuse(
            "is encrypted in OpenSSL's old format. Convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW",
        ));
    }
    let (label, document) = SecretDocument::from_pem(pem.trim())
        .map_err(|_| refuse("is not a PEM text that begins with -----BEGIN PRIVATE KEY-----"))?;
    let parsed = match label {
        "PRIVATE KEY" => rsa::KeyPair::from_pkcs8(document.as_bytes()),
        "RSA PRIVATE KEY" => rsa::KeyPair::from_der(document.as_bytes()),
        "ENCRYPTED PRIVATE KEY" => {
            let encrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|_| {
                refuse("is encrypted in a way that is not known: use openssl pkcs8 -topk8 -v2")
            })?;
            let passphrase = passphrase.ok_or_else(|| refuse("is encrypted: set its passphrase"))?;
            let plain =
                encrypted.decrypt(passphrase).map_err(|_| refuse("does not open with this passphrase"))?;
            rsa::KeyPair::from_pkcs8(plain.as_bytes())
        }
        _ => return Err(refuse("file holds something else: a private key in PKCS #8 is needed")),
    };
    // The reason is a fixed word of the library, such as TooSmall or InvalidEncoding.
    parsed.map_err(|reason| refuse(&format!("is not an RSA key of 2048 to 4096 bits ({reason})")))
}

/// `SHA256:` and the base64 of the public key's hash, as Snowflake shows it in `RSA_PUBLIC_KEY_FP`.
fn fingerprint(key: &rsa::KeyPair) -> Result<String> {
    let broken =
        |error: pkcs8::der::Error| Failure::system(format!("the public key cannot be encoded: {error}"));
    let subject_public_key = BitStringRef::from_bytes(key.public().as_ref()).map_err(broken)?;
    let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
    let info = SubjectPublicKeyInfoRef { algorithm, subject_public_key };
    let document = Document::encode_msg(&info).map_err(broken)?;
    let hash = ring::digest::digest(&ring::digest::SHA256, document.as_bytes());
    Ok(format!("SHA256:{}", STANDARD.encode(hash)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ::rsa::pkcs1::DecodeRsaPublicKey;
    use ::rsa::pkcs1v15::{Signature, VerifyingKey};
    use ::rsa::signature::Verifier;
    use serde_json::Value;
    use sha2::Sha256;

    use super::*;

    const PLAIN: &str = include_str!("../../../tests/keys/pkcs8.pem");
    const PASSPHRASE: &str = "passphrase-of-the-test";

    fn read(pem: &str, passphrase: Option<&str>) -> Result<KeyPair> {
        let config = json!({"account": "xy12345.eu-central-1", "user": "loader", "private_key": pem,
            "passphrase": passphrase});
        KeyPair::read(&serde_json::from_value(config).unwrap())
    }

    /// The claims of a JWT whose signature another library accepts.
    fn verified(jwt: &str) -> HashMap<String, Value> {
        let public =
            ::rsa::RsaPublicKey::from_pkcs1_pem(include_str!("../../../tests/keys/public-pkcs1.pem"))
                .unwrap();
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        let signature = Signature::try_from(&*URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        VerifyingKey::<Sha256>::new(public).verify(message.as_bytes(), &signature).unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let json =
            |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
        assert_eq!(json(header), json!({"typ": "JWT", "alg": "RS256"}));
        serde_json::from_value(json(claims)).unwrap()
    }

    #[test]
    fn another_library_verifies_a_jwt_of_every_form_of_the_key() {
        let forms = [
            (PLAIN, None),
            (include_str!("../../../tests/keys/pkcs1.pem"), None),
            (include_str!("../../../tests/keys/encrypted-aes256.pem"), Some(PASSPHRASE)),
            (include_str!("../../../tests/keys/encrypted-des3.pem"), Some(PASSPHRASE)),
            (include_str!("../../../tests/keys/encrypted-des3-sha1.pem"), Some(PASSPHRASE)),
        ];
        for (pem, passphrase) in forms {
            let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let claims = verified(&read(pem, passphrase).unwrap().sign(now).unwrap());
            let fingerprint = include_str!("../../../tests/keys/fingerprint.txt").trim();
            assert_eq!(claims["iss"], json!(format!("XY12345.LOADER.SHA256:{fingerprint}")));
            assert_eq!(claims["sub"], json!("XY12345.LOADER"));
            assert_eq!(claims["iat"], json!(1_800_000_000_u64));
            let end = claims["exp"].as_u64().unwrap();
            assert!((1_800_003_000..=1_800_003_600).contains(&end), "{end}: within Snowflake's hour");
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_says_what_to_do_and_nothing_of_itself() {
        let cases = [
            (include_str!("../../../tests/keys/encrypted-aes256.pem"), None, "set its passphrase"),
            (include_str!("../../../tests/keys/encrypted-aes256.pem"), Some("hunter2"), "does not open"),
            (
                include_str!("../../../tests/keys/encrypted-pkcs1.pem"),
                Some(PASSPHRASE),
                "openssl pkcs8 -topk8",
            ),
            (include_str!("../../../tests/keys/elliptic.pem"), None, "not an RSA key"),
            (include_str!("../../../tests/keys/public-pkcs1.pem"), None, "something else"),
            ("hunter2", None, "not a PEM text"),
        ];
        for (pem, passphrase, expected) in cases {
            let failure = read(pem, passphrase).err().expect(expected);
            assert!(failure.message.contains(expected), "{}", failure.message);
            assert!(!failure.message.contains("hunter2"), "{}", failure.message);
            assert!(!pem.lines().any(|line| line.len() > 30 && failure.message.contains(line)));
        }
    }

    #[test]
    fn the_account_is_spelled_as_snowflake_does() {
        assert_eq!(account("xy12345.eu-central-1.aws"), "XY12345");
        assert_eq!(account(" myorg-my_account"), "MYORG-MY_ACCOUNT");
    }
}
