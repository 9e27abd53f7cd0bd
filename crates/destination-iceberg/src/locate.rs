//! Which table is a stream's: the one that it was made for, or a new name. Knows what tables remember, and nothing of
//! their files.

use std::collections::{HashMap, HashSet};

use iceberg::TableIdent;

use crate::catalog::{Catalog, Table};
use crate::failure::Result;
use crate::naming::{LONGEST_NAME, numbered};
use crate::plan::StreamPlan;
use crate::table_memory::Owner;

/// A stream's table; its name alone, if there is none yet.
pub struct Located {
    pub ident: TableIdent,
    pub table: Option<Table>,
}

/// Finds the tables of all streams. A stream keeps the table that was made for it, and the others share out what is
/// left in the catalog's order: the name that they want, or the next number behind it. No two tables differ only in
/// case, since most engines take such for one.
pub async fn locate_all(catalog: &Catalog, plans: &[StreamPlan]) -> Result<Vec<Located>> {
    let mut search = Search { catalog, names: HashMap::new() };
    let mut found: Vec<Option<Table>> = Vec::with_capacity(plans.len());
    let mut unowned: Vec<Option<Table>> = Vec::with_capacity(plans.len());
    let mut given: HashSet<String> = HashSet::new();
    for plan in plans {
        let (own, free) =
            search.look_for(plan, &given).await.map_err(|failure| failure.of_stream(plan.stream.clone()))?;
        given.extend(own.iter().map(|table| key(&table.ident)));
        found.push(own);
        unowned.push(free);
    }
    let mut located = Vec::with_capacity(plans.len());
    for ((plan, own), free) in plans.iter().zip(found).zip(unowned) {
        let free = free.filter(|table| !given.contains(&key(&table.ident)));
        let (ident, table) = match own.or(free) {
            Some(table) => (table.ident.clone(), Some(table)),
            None => (search.new_name(plan, &given).await?, None),
        };
        given.insert(key(&ident));
        located.push(Located { ident, table });
    }
    Ok(located)
}

struct Search<'a> {
    catalog: &'a Catalog,
    /// The tables of each namespace that had to be listed.
    names: HashMap<String, Vec<TableIdent>>,
}

impl Search<'_> {
    /// The stream's own table, or else one with the wanted name that nobody owns.
    async fn look_for(
        &mut self,
        plan: &StreamPlan,
        given: &HashSet<String>,
    ) -> Result<(Option<Table>, Option<Table>)> {
        let wanted = self.catalog.load(&plan.table).await?;
        let owner = wanted.as_ref().map(|table| Owner::of(&table.metadata));
        if owner.as_ref().is_some_and(|owner| owner.is(&plan.stream)) && !given.contains(&key(&plan.table)) {
            return Ok((wanted, None));
        }
        for ident in self.alike(&plan.table).await? {
            if ident == plan.table || given.contains(&key(&ident)) {
                continue;
            }
            let Some(table) = self.catalog.load(&ident).await? else { continue };
            if Owner::of(&table.metadata).is(&plan.stream) {
                return Ok((Some(table), None));
            }
        }
        Ok((None, wanted.filter(|_| owner == Some(Owner::Nobody))))
    }

    /// A name that no table has.
    async fn new_name(&mut self, plan: &StreamPlan, given: &HashSet<String>) -> Result<TableIdent> {
        let taken: HashSet<String> = self.listed(&plan.table).await?.iter().map(key).collect();
        let mut ident = plan.table.clone();
        let mut number = 2;
        while taken.contains(&key(&ident)) || given.contains(&key(&ident)) {
            ident = TableIdent::new(ident.namespace().clone(), numbered(plan.table.name(), number));
            number += 1;
        }
        Ok(ident)
    }

    /// The tables whose name is the wanted one in any case, or that with a number.
    async fn alike(&mut self, wanted: &TableIdent) -> Result<Vec<TableIdent>> {
        let is_alike = |ident: &TableIdent| {
            let unnumbered = |name: &str| match name.rsplit_once('_') {
                Some((start, number)) if number.parse::<usize>().is_ok() => start.to_owned(),
                _ => name.to_owned(),
            };
            let (name, wanted) = (ident.name().to_lowercase(), wanted.name().to_lowercase());
            let start = unnumbered(&name);
            // A long name is cut to make room for its number.
            let is_cut = name.chars().count() == LONGEST_NAME && wanted.starts_with(&start);
            name == wanted || start == wanted || is_cut
        };
        Ok(self.listed(wanted).await?.iter().filter(|ident| is_alike(ident)).cloned().collect())
    }

    async fn listed(&mut self, ident: &TableIdent) -> Result<&[TableIdent]> {
        let namespace = ident.namespace().to_string();
        if !self.names.contains_key(&namespace) {
            let tables = self.catalog.tables(&namespace).await?;
            self.names.insert(namespace.clone(), tables);
        }
        Ok(self.names.get(&namespace).map_or(&[], Vec::as_slice))
    }
}

/// What two tables share if most engines take them for one.
fn key(ident: &TableIdent) -> String {
    ident.to_string().to_lowercase()
}
