select distinct
    owner_gid as task_gid,
    {{ airbyte_asana.json_text('item', 'project.gid') }} as project_gid,
    {{ airbyte_asana.json_text('item', 'project.name') }} as project_name,
    {{ airbyte_asana.json_text('item', 'section.gid') }} as section_gid,
    {{ airbyte_asana.json_text('item', 'section.name') }} as section_name
from (
    {{ airbyte_asana.list_items('(select gid as owner_gid, memberships from ' ~ ref('all_tasks') ~ ')', 'memberships', ['owner_gid']) | indent(4) }}
) as listed_items
where {{ airbyte_asana.json_text('item', 'project.gid') }} is not null
