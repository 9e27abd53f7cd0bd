-- How long do tasks stay in each section before they move on?
select
    project_name,
    section_name,
    count(*) as times_left,
    round(avg(seconds) / 3600.0, 1) as average_hours,
    round(median(seconds) / 3600.0, 1) as median_hours
from {{ ref('airbyte_asana', 'task_section_history') }}
where seconds is not null and section_gid is not null
group by project_name, section_name
order by times_left desc, project_name, section_name
