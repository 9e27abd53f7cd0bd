//! Which rows go when a row of another stream is deleted. A source can declare that a column refers to rows of other
//! streams; a row that refers to a deleted one is deleted too, however long ago it was loaded.

use crate::plan::StreamPlan;

/// A column that refers to rows of other streams. Streams are places in the list of plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub child: usize,
    /// The child table's column.
    pub column: String,
    /// A value refers to a row of one of these.
    pub parents: Vec<usize>,
}

/// The foreign keys between streams of this catalog.
pub fn foreign_keys(plans: &[StreamPlan]) -> Vec<ForeignKey> {
    let mut keys = Vec::new();
    for (child, plan) in plans.iter().enumerate() {
        let Some((column, streams)) = plan.foreign_key() else { continue };
        let parents = (0..plans.len()).filter(|place| streams.contains(&plans[*place].stream)).collect();
        keys.push(ForeignKey { child, column, parents });
    }
    keys
}
