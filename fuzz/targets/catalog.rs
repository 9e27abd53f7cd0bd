//! Any configured catalog: a plan that knows every stream asked for, or says that there is none of that name.
//! Knows no network.

#![no_main]

use airbyte_protocol::catalog::ConfiguredCatalog;
use libfuzzer_sys::fuzz_target;
use source_asana::plan::Plan;

fuzz_target!(|text: &str| {
    let Ok(catalog) = serde_json::from_str::<ConfiguredCatalog>(text) else { return };
    let (plan, unknown) = Plan::new(&catalog);
    for configured in &catalog.streams {
        let name = &configured.stream.name;
        let is_selected = plan.selected().any(|(_, planned)| planned.stream.name == name);
        let is_unknown = unknown.iter().any(|unknown| unknown.name == *name);
        assert!(is_selected != is_unknown, "{name}: selected {is_selected}, unknown {is_unknown}");
    }
    for (_, planned) in plan.selected() {
        for child in &planned.children {
            assert!(!plan.listing(*child).endpoint().is_empty());
        }
    }
});
