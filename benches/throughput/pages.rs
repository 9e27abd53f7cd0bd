//! Pages of tasks as bytes that are rendered once and numbered anew each time they are served. Knows no HTTP.

use std::error::Error;

use airbyte_protocol::catalog::ConfiguredCatalog;
use asana_simulator::{Kind, Scale, Selection, World};
use serde_json::{Value, json};
use source_asana::catalog;
use source_asana::plan::Plan;

/// Asana's largest page.
pub const ROWS: usize = 100;
/// Different pages, so that no cache holds what comes next.
const TEMPLATES: usize = 32;
/// The first task's gid. All have sixteen digits, as Asana's do, so that one can take another's place.
const FIRST_GID: u64 = 1_200_000_000_000_000;

/// Which columns of the tasks are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    All,
    Few,
}

impl Columns {
    /// The configured catalog with the stream `tasks` alone.
    pub fn catalog(self) -> Result<Value, Box<dyn Error>> {
        let discovered = serde_json::to_value(catalog::discovered())?;
        let streams = discovered["streams"].as_array().ok_or("a catalog has streams")?;
        let mut stream =
            streams.iter().find(|stream| stream["name"] == "tasks").ok_or("there are tasks")?.clone();
        if self == Self::Few {
            let few = ["gid", "name", "completed", "modified_at"];
            let properties =
                stream["json_schema"]["properties"].as_object_mut().ok_or("tasks have columns")?;
            properties.retain(|name, _| few.contains(&name.as_str()));
        }
        Ok(json!({"streams": [{
            "stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}]}))
    }

    /// The fields that the connector asks for of each task.
    fn opt_fields(self) -> Result<String, Box<dyn Error>> {
        let configured: ConfiguredCatalog = serde_json::from_value(self.catalog()?)?;
        let (plan, _) = Plan::new(&configured);
        let listing = plan.listings.iter().find(|listing| listing.path.starts_with("/tasks?project="));
        Ok(listing.and_then(|listing| listing.opt_fields.clone()).ok_or("projects list their tasks")?)
    }
}

/// The rows of one page, without the envelope around them.
struct Template {
    rows: Vec<u8>,
    /// Where the digits of each row's gid begin.
    gids: Vec<usize>,
}

/// An endless supply of different pages of tasks.
pub struct TaskPages {
    templates: Vec<Template>,
}

impl TaskPages {
    /// Renders tasks of a simulated world with the fields that the connector asks for.
    pub fn render(columns: Columns) -> Result<Self, Box<dyn Error>> {
        let world = World::generate(7, &Scale { stories: 0, longest_history: 0, ..Scale::medium() });
        let selection = Selection::parse(&columns.opt_fields()?);
        let tasks: Vec<_> = world
            .gids(Kind::Task)
            .filter(|task| world.parent_of_task(*task).is_none())
            .take(TEMPLATES * ROWS)
            .collect();
        let mut templates = Vec::new();
        for tasks in tasks.chunks_exact(ROWS) {
            let mut template = Template { rows: Vec::new(), gids: Vec::new() };
            for task in tasks {
                let record = world.record(*task, world.main_viewer(), &selection).ok_or("the task exists")?;
                template.push(&record)?;
            }
            templates.push(template);
        }
        Ok(Self { templates })
    }

    /// Appends the rows of the page of that number; no two pages share a gid.
    pub fn append(&self, number: usize, output: &mut Vec<u8>) {
        let template = &self.templates[number % self.templates.len()];
        let start = output.len();
        output.extend_from_slice(&template.rows);
        let first_gid = FIRST_GID + (number * ROWS) as u64;
        for (gid, place) in (first_gid..).zip(&template.gids) {
            let mut rest = gid;
            for digit in output[start + place..start + place + 16].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }

    /// Bytes of a row on average.
    pub fn row_bytes(&self) -> usize {
        let bytes: usize = self.templates.iter().map(|template| template.rows.len()).sum();
        bytes / (self.templates.len() * ROWS)
    }
}

impl Template {
    fn push(&mut self, record: &Value) -> Result<(), Box<dyn Error>> {
        let mut fields = record.as_object().ok_or("a record is an object")?.clone();
        fields.remove("gid");
        let fields = serde_json::to_string(&fields)?;
        let head: &[u8] = if self.rows.is_empty() { b"{\"gid\":\"" } else { b",{\"gid\":\"" };
        self.rows.extend_from_slice(head);
        self.gids.push(self.rows.len());
        self.rows.extend_from_slice(b"0000000000000000\",");
        self.rows.extend_from_slice(&fields.as_bytes()[1..]);
        Ok(())
    }
}
