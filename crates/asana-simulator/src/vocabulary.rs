//! Words for the names of records, ordinary and awkward ones.

use crate::random::Random;

const VERBS: [&str; 16] = [
    "Draft",
    "Review",
    "Ship",
    "Call",
    "Plan",
    "Fix",
    "Measure",
    "Rewrite",
    "Approve",
    "Order",
    "Test",
    "Archive",
    "Translate",
    "Prepare",
    "Publish",
    "Check",
];
const QUALITIES: [&str; 16] = [
    "quarterly",
    "new",
    "broken",
    "internal",
    "urgent",
    "final",
    "regional",
    "shared",
    "old",
    "annual",
    "public",
    "missing",
    "pilot",
    "mobile",
    "legal",
    "spare",
];
const THINGS: [&str; 20] = [
    "budget",
    "landing page",
    "contract",
    "onboarding",
    "invoice",
    "newsletter",
    "roadmap",
    "warehouse",
    "survey",
    "press kit",
    "backlog",
    "release notes",
    "booth",
    "price list",
    "interview",
    "dashboard",
    "supplier",
    "training",
    "logo",
    "data export",
];
/// Text that breaks naive code: quotes, line ends, markup, right-to-left, combining and wide characters.
const AWKWARD: [&str; 14] = [
    "🚀 launch 🎉",
    "\"quoted\" and 'single'",
    "first line\nsecond line",
    "تحديث الموقع الإلكتروني",
    "עדכון האתר",
    "日本語のタスク",
    "tab\tseparated\\backslash",
    "<b>not markup</b> & ampersand; </body>",
    "e\u{301}a\u{308} combining",
    "👩‍👩‍👧‍👦 family, zero-width joined",
    "comma, semicolon; pipe | {brace} [bracket]",
    "carriage\r\nreturn",
    "\u{202e}reversed\u{202c} and line\u{2028}separator",
    "null, NaN, 007, 1e5, true",
];
const GIVEN: [&str; 20] = [
    "Ada", "Béla", "Chloë", "Dmitri", "Esther", "Fatima", "Goran", "Hiroshi", "Ingrid", "João", "Kofi",
    "Lucía", "Mei", "Noor", "Olga", "Priya", "Quentin", "Rosa", "Søren", "Tomasz",
];
const FAMILY: [&str; 20] = [
    "Almeida",
    "Brandt",
    "Cohen",
    "Dubois",
    "Eriksen",
    "Ferrari",
    "García",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kim",
    "López",
    "Müller",
    "Nakamura",
    "O'Neill",
    "Papadopoulos",
    "Quist",
    "Rossi",
    "Singh",
    "Tanaka",
];

/// A short name, one in twelve awkward.
pub(crate) fn name(random: &mut Random) -> String {
    if random.below(12) == 0 {
        return format!("{} {}", random.pick(&AWKWARD), random.pick(&THINGS));
    }
    format!("{} {} {}", random.pick(&VERBS), random.pick(&QUALITIES), random.pick(&THINGS))
}

/// The awkward name at a place.
pub(crate) fn awkward_name(random: &mut Random, place: usize) -> String {
    format!("{} {}", awkward(place), random.pick(&THINGS))
}

/// A noun phrase, for names of projects and tags.
pub(crate) fn subject(random: &mut Random) -> String {
    let mut subject = format!("{} {}", random.pick(&QUALITIES), random.pick(&THINGS));
    if random.below(10) == 0 {
        subject = format!("{} {}", random.pick(&AWKWARD), subject);
    }
    subject
}

/// One to four sentences over one or more lines, sometimes with awkward text inside.
pub(crate) fn prose(random: &mut Random) -> String {
    let mut prose = String::new();
    for sentence in 0..random.between(1, 4) {
        if sentence > 0 {
            prose.push(if random.percent(30) { '\n' } else { ' ' });
        }
        prose.push_str(&name(random));
        prose.push_str(" before the ");
        prose.push_str(random.pick::<&str>(&QUALITIES));
        prose.push_str(" one.");
    }
    prose
}

/// The awkward text at a place, so that a small world has each of them.
pub(crate) fn awkward(place: usize) -> &'static str {
    AWKWARD[place % AWKWARD.len()]
}

/// A person's full name.
pub(crate) fn person(random: &mut Random) -> String {
    format!("{} {}", random.pick(&GIVEN), random.pick(&FAMILY))
}

/// Plain text as Asana's HTML: one `body` with the text escaped.
pub(crate) fn html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    html.push_str("<body>");
    for character in text.chars() {
        match character {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            other => html.push(other),
        }
    }
    html.push_str("</body>");
    html
}
