select
    gid as story_gid, {{ airbyte_asana.story_task() }} as task_gid, created_at as changed_at, created_by_gid as changed_by_gid,
    created_by_name as changed_by_name, project_gid, project_name, old_section_gid, old_section_name,
    new_section_gid, new_section_name
from {{ ref('current_stories') }}
where resource_subtype = 'section_changed'
