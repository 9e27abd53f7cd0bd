//! The people of every workspace.

use schemars::JsonSchema;

use super::shared::{CustomFieldValue, Reference};
use super::workspaces;
use crate::stream::{Each, Listing, Repeats, Stream};

// Asked for by workspace: without one the listing spans all of them and fails on large accounts. One person can be
// in several.
pub static STREAM: Stream =
    Stream::of::<User>("users", Listing::Each(&[Each::of(&workspaces::STREAM, "/users?workspace={gid}")]))
        .scope("users:read")
        .repeats(Repeats::AcrossListings);

/// A person with an account in Asana. People who left the workspace are no longer listed, though records still name
/// them.
#[derive(JsonSchema)]
pub struct User {
    /// Globally unique identifier of the user, a string of digits.
    pub gid: String,
    /// Always `user`.
    pub resource_type: String,
    /// The user's name.
    pub name: String,
    /// The user's mail address.
    pub email: String,
    /// Where to find the profile photo in several sizes; null without a photo.
    pub photo: Photo,
    /// The workspaces that the user shares with the token's user.
    pub workspaces: Vec<Reference>,
    /// The values of the custom fields of the user.
    pub custom_fields: Vec<CustomFieldValue>,
}

/// Addresses of one photo, by width and height in pixels.
#[derive(JsonSchema)]
pub struct Photo {
    /// The photo at 21x21, as PNG.
    pub image_21x21: String,
    /// The photo at 27x27, as PNG.
    pub image_27x27: String,
    /// The photo at 36x36, as PNG.
    pub image_36x36: String,
    /// The photo at 60x60, as PNG.
    pub image_60x60: String,
    /// The photo at 128x128, as PNG.
    pub image_128x128: String,
    /// The photo at 1024x1024, as JPEG.
    pub image_1024x1024: String,
}
