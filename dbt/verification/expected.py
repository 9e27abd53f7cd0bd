"""What each model of the package has to hold, worked out from what the simulated account says of itself.

Knows neither SQL nor the tables: it shares no code with the models.
"""

import datetime

UTC = datetime.timezone.utc


def time(text):
    return None if text is None else datetime.datetime.fromisoformat(
        text.replace("Z", "+00:00")).astimezone(UTC).replace(tzinfo=None)


def day(text):
    return None if text is None else datetime.date.fromisoformat(text)


def gid(thing):
    return thing["gid"] if thing else None


def name(thing):
    return thing["name"] if thing else None


def choices(items):
    """A list of options, people or objects; None if there is none."""
    return None if items is None else [(gid(item), name(item)) for item in items]


def seconds(start, end):
    if start is None or end is None:
        return None
    # Whole seconds that begin between the two, in UTC whatever this machine's time zone is.
    return int((end.replace(microsecond=0) - start.replace(microsecond=0)).total_seconds())


def place(story):
    return time(story["created_at"]), int(story["gid"])


def rows(model_columns, records):
    return model_columns, records


def expected(truth):
    """The columns and the rows of each model. `truth` maps each stream to its records."""
    all_tasks = {task["gid"]: task for task in truth["tasks"] + truth["subtasks"]}
    models = {}

    def tree(task):
        above, depth = task, 0
        while above["parent"] and above["parent"]["gid"] in all_tasks:
            above, depth = all_tasks[above["parent"]["gid"]], depth + 1
        return above["gid"], depth

    models["all_tasks"] = (
        ["gid", "parent_gid", "is_subtask", "root_task_gid", "depth", "name", "completed", "due_on", "created_at"],
        [(task["gid"], gid(task["parent"]), task["parent"] is not None, *tree(task), task["name"], task["completed"],
          day(task["due_on"]), time(task["created_at"])) for task in all_tasks.values()])
    memberships = {(task["gid"], one["project"]["gid"]): one for task in all_tasks.values() for one in task["memberships"]}
    models["task_projects"] = (
        ["task_gid", "project_gid", "project_name", "section_gid", "section_name"],
        [(task, project, one["project"]["name"], gid(one["section"]), name(one["section"]))
         for (task, project), one in memberships.items()])

    def lists(model, owners, owner, list_, other, named=True, person=lambda item: item):
        columns = [owner, f"{other}_gid"] + ([f"{other}_name"] if named else [])
        models[model] = columns, [
            (record["gid"], gid(person(item)), *([name(person(item))] if named else []))
            for record in owners for item in record[list_] or []]

    tasks, liker = list(all_tasks.values()), lambda item: item["user"]
    lists("task_tags", tasks, "task_gid", "tags", "tag")
    lists("task_followers", tasks, "task_gid", "followers", "user")
    lists("task_likes", tasks, "task_gid", "likes", "user", person=liker)
    lists("task_dependencies", tasks, "task_gid", "dependencies", "depends_on_task", named=False)
    lists("task_dependents", tasks, "task_gid", "dependents", "dependent_task", named=False)
    lists("project_members", truth["projects"], "project_gid", "members", "user")
    lists("project_followers", truth["projects"], "project_gid", "followers", "user")
    lists("portfolio_members", truth["portfolios"], "portfolio_gid", "members", "user")
    lists("goal_followers", truth["goals"], "goal_gid", "followers", "user")
    lists("goal_likes", truth["goals"], "goal_gid", "likes", "user", person=liker)
    lists("story_likes", [story for story in truth["stories"] if story.get("likes")], "story_gid", "likes", "user",
          person=liker)
    lists("tag_followers", truth["tags"], "tag_gid", "followers", "user")
    lists("user_workspaces", truth["users"], "user_gid", "workspaces", "workspace")
    for kind, column in (("project", "project"), ("portfolio", "child_portfolio")):
        models[f"portfolio_{kind}s"] = (
            ["portfolio_gid", f"{column}_gid", f"{column}_name"],
            [(item["portfolio"]["gid"], item["gid"], item["name"]) for item in truth["portfolio_items"]
             if item["resource_type"] == kind])
    models["goal_owners"] = (
        ["goal_gid", "user_gid", "user_name"],
        [(goal["gid"], gid(goal["owner"]), name(goal["owner"])) for goal in truth["goals"] if goal["owner"]])
    models["goal_supporters"] = (
        ["goal_relationship_gid", "goal_gid", "supporting_resource_gid", "supporting_resource_name",
         "supporting_resource_type", "contribution_weight"],
        [(one["gid"], gid(one["supported_goal"]), gid(one["supporting_resource"]), name(one["supporting_resource"]),
          one["supporting_resource"]["resource_type"], float(one["contribution_weight"]))
         for one in truth["goal_relationships"]])
    models["team_members"] = (
        ["team_gid", "user_gid", "user_name", "is_admin", "is_guest", "is_limited_access"],
        [(gid(one["team"]), gid(one["user"]), name(one["user"]), one["is_admin"], one["is_guest"],
          one["is_limited_access"]) for one in truth["team_memberships"]])
    models["custom_field_options"] = (
        ["custom_field_gid", "option_gid", "option_name", "option_color", "is_enabled", "position"],
        [(field["gid"], option["gid"], option["name"], option["color"], option["enabled"], position)
         for field in truth["custom_fields"] for position, option in enumerate(field.get("enum_options") or [])])
    custom_fields(models, truth, tasks)
    history(models, truth, all_tasks, memberships)
    fivetran(models, truth, tasks, memberships)
    return models


def custom_fields(models, truth, tasks):
    chosen = []
    for resource, owners in (("task", tasks), ("project", truth["projects"]), ("portfolio", truth["portfolios"]),
                             ("goal", truth["goals"])):
        values = []
        for owner in owners:
            for field in owner["custom_fields"] or []:
                date = field.get("date_value") or {}
                option = field.get("enum_value")
                lists = {"multi_enum": field.get("multi_enum_values"), "people": field.get("people_value"),
                         "reference": field.get("reference_value")}
                number = field.get("number_value")
                values.append((
                    owner["gid"], field["gid"], field["name"], field["type"], field["enabled"], field["display_value"],
                    field.get("text_value"), None if number is None else float(number), day(date.get("date")),
                    time(date.get("date_time")), gid(option), name(option), *map(choices, lists.values())))
                of_field = [("enum", [option] if option else []), *lists.items()]
                chosen += [(resource, owner["gid"], field["gid"], field["name"], kind, position, gid(item), name(item))
                           for kind, items in of_field for position, item in enumerate(items or [])]
        models[f"{resource}_custom_field_values"] = (
            [f"{resource}_gid", "custom_field_gid", "custom_field_name", "custom_field_type", "is_enabled",
             "display_value", "text_value", "number_value", "date_value", "date_time_value", "enum_option_gid",
             "enum_option_name", "multi_enum_options", "people", "reference_objects"], values)
    models["custom_field_choices"] = (
        ["resource_type", "resource_gid", "custom_field_gid", "custom_field_name", "choice_type", "position", "choice_gid",
         "choice_name"], chosen)


def history(models, truth, all_tasks, memberships):
    stories = sorted(truth["stories"], key=place)
    changed = ["story_gid", "task_gid", "changed_at", "changed_by_gid", "changed_by_name"]

    def common(story):
        return (story["gid"], gid(story["target"]), time(story["created_at"]), gid(story["created_by"]),
                name(story["created_by"]))

    def of(*subtypes):
        return [story for story in stories if story["resource_subtype"] in subtypes]

    models["task_section_changes"] = (
        [*changed, "project_gid", "old_section_gid", "old_section_name", "new_section_gid", "new_section_name"],
        [(*common(story), gid(story["project"]), gid(story["old_section"]), name(story["old_section"]),
          gid(story["new_section"]), name(story["new_section"])) for story in of("section_changed")])

    def dates(dates):
        return day(dates["start_on"]), day(dates["due_on"]), time(dates["due_at"])

    models["task_date_changes"] = (
        [*changed, "is_of_start", "old_start_on", "old_due_on", "old_due_at", "new_start_on", "new_due_on", "new_due_at"],
        [(*common(story), story["resource_subtype"] == "start_date_changed", *dates(story["old_dates"]),
          *dates(story["new_dates"])) for story in of("due_date_changed", "start_date_changed")])
    before, assigned = {}, []
    for story in of("assigned", "unassigned"):
        now = story.get("assignee")
        assigned.append((*common(story), before.get(gid(story["target"])), gid(now), name(now)))
        before[gid(story["target"])] = gid(now)
    models["task_assignee_changes"] = (
        [*changed, "old_assignee_gid", "new_assignee_gid", "new_assignee_name"], assigned)
    columns = [*changed, "custom_field_gid", "custom_field_name", "custom_field_type"]
    for side in ("old", "new"):
        columns += [f"{side}_{column}" for column in (
            "text_value", "number_value", "date_value", "date_time_value", "enum_option_gid", "enum_option_name",
            "multi_enum_options", "people")]
    changes = []
    for story in stories:
        if not story["resource_subtype"].endswith("_custom_field_changed"):
            continue
        row = [*common(story), gid(story["custom_field"]), name(story["custom_field"]),
               story["resource_subtype"].removesuffix("_custom_field_changed")]
        for side in ("old", "new"):
            date, option = story.get(f"{side}_date_value") or {}, story.get(f"{side}_enum_value")
            number = story.get(f"{side}_number_value")
            row += [story.get(f"{side}_text_value"), None if number is None else float(number), day(date.get("due_on")),
                    time(date.get("due_at")), gid(option), name(option),
                    choices(story.get(f"{side}_multi_enum_values")), choices(story.get(f"{side}_people_value"))]
        changes.append(tuple(row))
    models["task_custom_field_changes"] = columns, changes
    completions(models, of, all_tasks)
    stays(models, of, all_tasks, memberships)


def completions(models, of, all_tasks):
    done, reopened = {}, {}
    for story in of("marked_complete"):
        done.setdefault(gid(story["target"]), []).append(
            (time(story["created_at"]), gid(story["created_by"]), name(story["created_by"]), True))
    for story in of("marked_incomplete"):
        reopened[gid(story["target"])] = reopened.get(gid(story["target"]), 0) + 1
    for task in all_tasks.values():
        if task["completed_at"]:
            done.setdefault(task["gid"], []).append(
                (time(task["completed_at"]), gid(task["completed_by"]), name(task["completed_by"]), False))
    found = []
    for task, times in done.items():
        # At one moment, a story says more than the task, and stories come in their order.
        first = min(enumerate(times), key=lambda each: (each[1][0], not each[1][3], each[0]))[1]
        last = max(enumerate(times), key=lambda each: (each[1][0], not each[1][3], each[0]))[1]
        at_last = [one for one in times if one[0] == last[0] and one[3]]
        last = at_last[-1] if at_last else last
        found.append((task, all_tasks[task]["completed"] if task in all_tasks else None, *first[:3], *last[:3],
                      sum(one[3] for one in times), reopened.get(task, 0)))
    models["task_completions"] = (
        ["task_gid", "is_completed", "first_completed_at", "first_completed_by_gid", "first_completed_by_name",
         "last_completed_at", "last_completed_by_gid", "last_completed_by_name", "times_completed", "times_reopened"],
        found)


def stays(models, of, all_tasks, memberships):
    """Plays the moves of each task and project, one after the other."""
    moves = {}
    for story in of("section_changed", "added_to_project", "removed_from_project"):
        moves.setdefault((gid(story["target"]), gid(story["project"])), []).append(story)
    sections, projects = [], []
    for key in sorted({*moves, *memberships}):
        task, stories, now = all_tasks.get(key[0]), moves.get(key, []), memberships.get(key)
        born = (time(task["created_at"]), gid(task["created_by"])) if task else (None, None)
        # Each: section, entered at and by, left at and by, the stay.
        found, stay, inside = [], 0, False
        for index, story in enumerate(stories):
            kind = story["resource_subtype"]
            at, by = time(story["created_at"]), gid(story["created_by"])
            if index == 0 and kind != "added_to_project":
                stay, inside = 1, True
                found.append([gid(story["old_section"]) if kind == "section_changed" else None, *born, None, None, stay])
            if inside and found:
                found[-1][3:5] = at, by
            if kind == "removed_from_project":
                inside = False
                continue
            if kind == "added_to_project" or not inside:
                stay += 1
            inside = True
            after = stories[index + 1] if index + 1 < len(stories) else None
            if kind == "section_changed":
                section = gid(story["new_section"])
            elif after is None:
                section = gid(now["section"]) if now else None
            else:
                section = gid(after["old_section"]) if after["resource_subtype"] == "section_changed" else None
            found.append([section, at, by, None, None, stay])
        if now and not stories:
            found.append([gid(now["section"]), *born, None, None, 1])
        elif now and (not inside or found[-1][0] != gid(now["section"])):
            # Moved by something that writes no story.
            found.append([gid(now["section"]), None, None, None, None, stay + (not inside)])
        for index, one in enumerate(found):
            current = now is not None and index == len(found) - 1
            sections.append((*key, *one[:5], seconds(one[1], one[3]), current, one[5]))
        for number in sorted({one[5] for one in found}):
            of_stay = [one for one in found if one[5] == number]
            entered = min((one[1] for one in of_stay if one[1]), default=None)
            current = now is not None and of_stay[-1] is found[-1]
            projects.append((*key, number, entered, of_stay[0][2], of_stay[-1][3], of_stay[-1][4],
                             seconds(entered, of_stay[-1][3]), current))
    models["task_section_history"] = (
        ["task_gid", "project_gid", "section_gid", "entered_at", "entered_by_gid", "left_at", "left_by_gid", "seconds",
         "is_current", "stay"], sections)
    models["task_project_history"] = (
        ["task_gid", "project_gid", "stay", "entered_at", "entered_by_gid", "left_at", "left_by_gid", "seconds",
         "is_current"], projects)


def fivetran(models, truth, tasks, memberships):
    at_midnight = lambda text: None if text is None else datetime.datetime.fromisoformat(text)
    models["fivetran.project"] = (
        ["id", "name", "archived", "color", "created_at", "modified_at", "current_status", "due_date", "notes", "owner_id",
         "public", "team_id", "workspace_id", "_fivetran_deleted"],
        [(one["gid"], one["name"], one["archived"], one["color"], time(one["created_at"]), time(one["modified_at"]),
          (one["current_status"] or {}).get("text"), at_midnight(one["due_on"]), one["notes"], gid(one["owner"]),
          one["public"], gid(one["team"]), gid(one["workspace"]), False) for one in truth["projects"]])
    models["fivetran.project_task"] = ["project_id", "task_id"], [(project, task) for task, project in memberships]
    models["fivetran.task_section"] = (
        ["task_id", "section_id"],
        [(task, gid(one["section"])) for (task, _), one in memberships.items() if one["section"]])
    models["fivetran.section"] = (
        ["id", "name", "created_at", "project_id"],
        [(one["gid"], one["name"], time(one["created_at"]), gid(one["project"])) for one in truth["sections"]])
    models["fivetran.story"] = (
        ["id", "created_at", "created_by_id", "hearted", "num_hearts", "source", "target_id", "text", "type"],
        [(one["gid"], time(one["created_at"]), gid(one["created_by"]), one.get("liked"), one.get("num_likes"),
          one["source"], gid(one["target"]), one["text"], one["type"]) for one in truth["stories"]])
    models["fivetran.tag"] = (
        ["id", "name", "color", "created_at", "message", "notes", "workspace_id", "_fivetran_deleted"],
        [(one["gid"], one["name"], one["color"], time(one["created_at"]), None, one["notes"], gid(one["workspace"]), False)
         for one in truth["tags"]])
    models["fivetran.task"] = (
        ["id", "assignee_id", "completed", "completed_at", "completed_by_id", "created_at", "due_at", "due_on",
         "modified_at", "name", "notes", "liked", "num_likes", "parent_id", "start_on", "workspace_id"],
        [(one["gid"], gid(one["assignee"]), one["completed"], time(one["completed_at"]), gid(one["completed_by"]),
          time(one["created_at"]), time(one["due_at"]), at_midnight(one["due_on"]), time(one["modified_at"]), one["name"],
          one["notes"], one["liked"], one["num_likes"], gid(one["parent"]), at_midnight(one["start_on"]),
          gid(one["workspace"])) for one in tasks])
    models["fivetran.task_follower"] = (
        ["task_id", "user_id"], [(one["gid"], gid(user)) for one in tasks for user in one["followers"]])
    models["fivetran.task_tag"] = ["task_id", "tag_id"], [(one["gid"], gid(tag)) for one in tasks for tag in one["tags"]]
    models["fivetran.team"] = (
        ["id", "name", "organization_id", "_fivetran_deleted"],
        [(one["gid"], one["name"], gid(one["organization"]), False) for one in truth["teams"]])
    models["fivetran.user"] = (
        ["id", "name", "email", "_fivetran_deleted"],
        [(one["gid"], one["name"], one["email"], False) for one in truth["users"]])
