{# Of each project that a task is in now, exactly one row is current, and no other row is. #}
{% test one_current_row_per_membership(model) %}
select
    coalesce(memberships.task_gid, history.task_gid) as task_gid,
    coalesce(memberships.project_gid, history.project_gid) as project_gid,
    history.current_rows
from {{ ref('task_projects') }} as memberships
full outer join (
    select task_gid, project_gid, count(*) as current_rows from {{ model }}
    where is_current group by task_gid, project_gid
) as history
    on memberships.task_gid = history.task_gid and memberships.project_gid = history.project_gid
where memberships.task_gid is null or history.current_rows is null or history.current_rows <> 1
{% endtest %}
