{# What the state sends of its districts, and what nationwide files say of those that it does not send it of. #}
with

sent as (

    {{ canonical('reference') }}

),

final as (

    select * from sent

    union all by name

    select int_saipe.* from {{ ref('int_saipe') }} as int_saipe
    anti join sent using (state, school_year, org_level, org_id, measure)

)

select * from final
