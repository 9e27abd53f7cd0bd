"""Draws the answers to the five questions as SVG, from the tables that dbt built. Knows no SQL of the package."""

import html

import duckdb

WIDTH, BAR, GAP, LEFT, RIGHT, TOP, BOTTOM = 760, 20, 8, 250, 70, 64, 24
INK, FAINT, FILL = "#1f2933", "#7b8794", "#3b6ea5"
COLUMNS_HEIGHT = 220


def clean(text, length=34):
    """A name on one line; what has no width or turns the direction of writing is left out."""
    text = "".join(character for character in " ".join(str(text).split()) if character.isprintable())
    return html.escape(text if len(text) <= length else text[:length - 1] + "…")


def page(title, subtitle, height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="{html.escape(title)}">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
            f'<text x="20" y="28" font-size="17" font-weight="600" fill="{INK}">{html.escape(title)}</text>\n'
            f'<text x="20" y="48" fill="{FAINT}">{html.escape(subtitle)}</text>\n' + "\n".join(body) + "\n</svg>\n")


def bars(title, subtitle, rows, unit=""):
    """Horizontal bars: a name, a number, and a note behind the number."""
    most = max(value for _, value, _ in rows) or 1
    body = []
    for place, (name, value, note) in enumerate(rows):
        y = TOP + place * (BAR + GAP)
        length = max(1, round((WIDTH - LEFT - RIGHT - 150) * value / most))
        body.append(f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end" fill="{INK}">{clean(name)}</text>')
        body.append(f'<rect x="{LEFT}" y="{y}" width="{length}" height="{BAR}" rx="2" fill="{FILL}"/>')
        body.append(f'<text x="{LEFT + length + 8}" y="{y + 15}" fill="{INK}">{value:g}{unit}'
                    f'<tspan fill="{FAINT}">{"  " + html.escape(note) if note else ""}</tspan></text>')
    return page(title, subtitle, TOP + len(rows) * (BAR + GAP) + BOTTOM, body)


def columns(title, subtitle, rows):
    """Upright bars over time: a label, a number."""
    most = max(value for _, value in rows) or 1
    step = (WIDTH - 60) / len(rows)
    floor = TOP + COLUMNS_HEIGHT
    body = [f'<line x1="30" x2="{WIDTH - 30}" y1="{floor}" y2="{floor}" stroke="{FAINT}"/>']
    for place, (label, value) in enumerate(rows):
        x, height = 30 + place * step, (COLUMNS_HEIGHT - 20) * value / most
        body.append(f'<rect x="{x + step * .12:.1f}" y="{floor - height:.1f}" width="{step * .76:.1f}" '
                    f'height="{height:.1f}" rx="2" fill="{FILL}"/>')
        body.append(f'<text x="{x + step / 2:.1f}" y="{floor - height - 5:.1f}" text-anchor="middle" '
                    f'font-size="11" fill="{INK}">{value:g}</text>')
        if place % max(1, len(rows) // 8) == 0:
            body.append(f'<text x="{x + step / 2:.1f}" y="{floor + 18}" text-anchor="middle" font-size="11" '
                        f'fill="{FAINT}">{clean(label)}</text>')
    return page(title, subtitle, floor + 34, body)


def draw(database, folder, as_of):
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = lambda sql: connection.execute(sql.replace("FROM ", "FROM main_asana_answers.", 1)).fetchall()
        pictures = {
            "throughput": columns(
                "Throughput per week", f"Tasks completed in each of the last 20 weeks before {as_of}",
                [(week.isoformat(), count) for week, count in rows(
                    f"FROM throughput_per_week SELECT week, tasks_completed WHERE week <= '{as_of}' "
                    "ORDER BY week DESC LIMIT 20")[::-1]]),
            "cycle-time": bars(
                "Cycle time by section", "Median hours that a task stays, in the sections that are left most often",
                [(f"{section} · {project}", hours, f"{times} moves") for project, section, hours, times in rows(
                    "FROM cycle_time_by_section SELECT project_name, section_name, median_hours, times_left "
                    "ORDER BY times_left DESC, project_name, section_name LIMIT 12")], " h"),
            "overdue": bars(
                "Overdue tasks by assignee", f"Open tasks whose due date passed before {as_of}",
                [(assignee, count, f"the oldest by {days} days") for assignee, count, days in rows(
                    "FROM overdue_by_assignee SELECT assignee, overdue_tasks, days_of_the_oldest "
                    "ORDER BY overdue_tasks DESC, assignee LIMIT 12")]),
            "workload": bars(
                "Workload by custom field", "Open tasks for each value of the fields that most tasks have",
                [(f"{field}: {choice}", count, f"{people} people") for field, choice, count, people in rows(
                    "FROM workload_by_custom_field SELECT custom_field, choice, open_tasks, people "
                    "ORDER BY open_tasks DESC, custom_field, choice LIMIT 12")]),
            "stale-projects": bars(
                "Stale projects", f"Days without a comment or change, until {as_of}",
                [(project, days, owner or "nobody's") for project, days, owner in rows(
                    "FROM stale_projects SELECT project, days_without_activity, owner "
                    "ORDER BY days_without_activity DESC, project LIMIT 12")]),
        }
    for name, picture in pictures.items():
        (folder / f"{name}.svg").write_text(picture)
    print(f"{len(pictures)} pictures drawn in {folder}")
