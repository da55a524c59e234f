{# Schemas are named as readers know them (marts, seeds), without the target's prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is not none -%} {{ custom_schema_name | trim }}
    {%- elif node.resource_type == 'model' and node.original_file_path.startswith('models/staging') -%} staging
    {%- elif node.resource_type == 'model' and node.original_file_path.startswith('models/marts') -%} marts
    {%- else -%} intermediate
    {%- endif -%}
{%- endmacro %}
