-- How long do tasks stay in each section before they move on?
select
    project_name,
    section_name,
    count(*) as times_left,
    round(avg(seconds) / 86400.0, 1) as average_days,
    round(median(seconds) / 86400.0, 1) as median_days
from {{ ref('airbyte_asana', 'task_section_history') }}
where seconds is not null and section_gid is not null
group by project_name, section_name
order by times_left desc, project_name, section_name
