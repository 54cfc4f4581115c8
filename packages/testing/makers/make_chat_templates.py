"""Renders chat templates with transformers: python make_chat_templates.py OUT.json (transformers 5.24.0, Jinja2 3.1.6).

The templates are short ones in the ways of popular families, each with the constructs that the family's own template uses, and `values` prints what Python makes of odd values."""
import datetime
import json
import sys

import transformers
from transformers.utils import chat_template_utils

TEMPLATES = {
    "llama-2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% for message in rest %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns must alternate.') }}{% endif %}{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama-3": """{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = strftime_now("%d %b %Y") if strftime_now is defined else "26 Jul 2024" %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|system|>\\n\\nToday: " + date_string + "\\n\\n" + system_message + "<|eot|>" }}
{%- for t in tools or [] %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|' + message['role'] + '|>\\n\\n'+ message['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception("One call at a time.") }}{%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '{"name": "' + call.name + '", "parameters": ' }}{{- call.arguments | tojson }}{{- "}" }}
        {%- for key, value in call.arguments | items %}{{- key ~ '=' ~ value }}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}
    {%- elif message.content is mapping or message.content is iterable %}
        {{- message.content | tojson }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|>\\n\\n' }}
{%- endif %}
""",
    "qwen-3": """{%- if tools %}{{- '# Tools' }}{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}{%- endif %}
{%- set ns = namespace(searching=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query and (loop.last or reasoning) %}
            {{- '<|im_start|>assistant\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' + content }}
        {%- endif %}
        {%- for call in message.tool_calls or [] %}
            {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}
            {{- call.function.name }}{{- call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool>\\n' + content + '\\n</tool>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}""",
    "gemma-3": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set prefix = (messages[0]['content'] if messages[0]['content'] is string else messages[0]['content'][0]['text']) + '\\n\\n' -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set prefix = "" -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception("Turns must alternate.") }}{%- endif -%}
    {{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' + (prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endfor -%}
    {%- else -%}
        {{ raise_exception("What is this?") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{'<start_of_turn>model\\n'}}{%- endif -%}
""",
    "phi-3": "{% for message in messages %}{{'<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
    "mistral": """{%- set users = messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}{%- set ns.index = ns.index + 1 %}{%- endif %}
{%- endfor %}
{{- bos_token ~ ns.index }}
{%- for message in messages %}
    {%- if message["role"] == "user" %}
        {%- if tools and message == users[-1] %}{%- for tool in tools %}{%- for key, value in tool.function.items() if key != "return" %}{{- key + ": " + (value if value is string else value|tojson) }}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{%- endfor %}{%- endif %}
        {{- "[INST] " + message["content"] + "[/INST]" }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {%- for call in message.tool_calls %}
            {%- set out = call.function|tojson %}
            {%- if not call.id is defined or call.id|length != 9 %}{{- raise_exception("Ids have nine characters.") }}{%- endif %}
            {{- out[:-1] + ', "id": "' + call.id + '"}' }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- '{"content": ' + message.content|string + "}" }}
    {%- endif %}
{%- endfor %}
""",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "plain": "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{{ '\n' ~ (message.name or '-') | capitalize }}\n{% endfor %}",
    "hermes": """{%- macro type_of(spec) %}{%- set names = {"string": "str", "integer": "int"} %}{%- if names[spec.type] is defined %}{{- names[spec.type] }}{%- elif spec.type is iterable %}{{- "Union[" }}{%- for t in spec.type %}{{- type_of({"type": t}) }}{%- if not loop.last %}{{- "," }}{%- endif %}{%- endfor %}{{- "]" }}{%- else %}{{- "Any" }}{%- endif %}{%- endmacro %}
{%- if tools is iterable and tools | length > 0 %}{%- for tool in tools %}{%- for name, fields in tool.function.parameters.properties|items %}{{- name + ": " + type_of(fields) + " " + fields.description|trim }}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{%- endfor %}{%- endif %}
{%- for message in messages %}{{- loop.previtem.role if loop.previtem }}{{- message.role }}{{- loop.nextitem.role if loop.nextitem }}{%- endfor %}""",
    "loops": """{% for m in messages %}{{ loop.index }}{% if m.role == 'assistant' %}a{% continue %}{% endif %}{% for i in range(4) %}{{ i }}{% if i == 2 %}!{% break %}{% endif %},{% endfor %}{{ m.role }}{% if loop.index == 4 %}end{% break %}{% endif %};{% endfor %}{% for m in [] %}x{% else %}nothing{% endfor %}""",
    "values": r"""{{ 7 // 2 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 3 }} {{ -7 % 3 }} {{ -7 // 2 }} {{ 1.0 }} {{ 0.00001 }} {{ 0.0001 }} {{ 1.5 * 2 }} {{ true + 1 }} {{ true }} {{ none }} {{ (1, 2) }}
{{ [1, 'a', none, true, 1.5, "it's", 'q"', "\n\t\\", 'é', []] }} {{ {'k': 'v', 'n': [1]} }} {{ [1, none, true] | join('+') }} {{ true | string }} {{ 'a' ~ none ~ true ~ 1.0 ~ [1] }} {{ "\x1c\x85a\ufeff" | string | length }}
{{ 'x' in ['x'] }} {{ 'x' not in 'abc' }} {{ [1] in [[1], [2]] }} {{ true in [1] }} {{ '1' == 1 }} {{ '' == false }} {{ 0 == false }} {{ none == missing }} {{ [] == [] }} {{ [1, 'a'] == [1, 'a'] }} {{ {'a': 1} == {'a': 1} }} {{ 1 == 1.0 }} {{ 'a' != none }} {{ 'b' > 'a' }} {{ 'Z' < 'a' }} {{ messages[0] == messages[-1] }}
{{ 'xxabcxx'.strip('x') }}|{{ '  a b '.strip() }}|{{ '\n\n a\n'.lstrip('\n') }}|{{ 'a\n \n'.rstrip('\n') }}|{{ 'abcab'.strip('ab') }}|{{ ' a  b c '.split() }}|{{ ' a  b c '.split(none, 1) }}|{{ none | trim }}|{{ [1] | trim }}|{{ 'heLLo wORLD' | capitalize }}|{{ 'heLLo'.capitalize() }}|{{ '🙂🙂' | length }}
{{ "heLLo wORLD it's a-b (c" | title }} {{ "heLLo it's a1b".title() }} {{ '5' | int }} {{ '5.7' | int }} {{ '3abc' | int }} {{ ' 7 ' | int }} {{ 'x' | int(9) }} {{ -2.7 | int }} {{ true | int }} {{ ['a', 'A', 'b', 1, 1.0] | unique | list }}
{{ messages is iterable }} {{ messages[0] is iterable }} {{ none is iterable }} {{ true is number }} {{ 1 is number }} {{ messages[0] is mapping }} {{ missing is defined }}|{{ missing }}|{{ messages[0].nothing }}|{{ 'a' if false }}|""",
}
TEMPLATES["zephyr from Windows"] = TEMPLATES["zephyr"].replace("\n", "\r\n")
TEMPLATES["filters by name"] = "{{ messages | map(attribute='role') | map('upper') | join(',') }} {{ messages | map(attribute='content') | map('default', '-') | map('string') | map('replace', 'a', 'b') | list }} {{ [['b'], 'aa'] | map('length') | list }}"
TEMPLATES["json"] = r"""{%- for m in messages %}{%- set given = m.tool_calls[0].function.arguments if m.tool_calls else m %}
{{ given }}
{{ given | tojson }} {{ given | tojson(indent=2) }} {{ given | tojson(indent=0) }} {{ given | tojson(indent='\t') }} {{ given | tojson(true) }} {{ given | tojson(separators=(',', ':'), sort_keys=true) }} {{ given | tojson(false, 1, ('; ', '=')) }}
{%- endfor %}
{{ [] | tojson(indent=1) }} {{ {} | tojson }} {{ (1, 'a') | tojson }} {{ [1.0, 1.0 * 2, 7 / 7, 10 ** 15 * 10.0, 0.1 + 0.2, -1.5, true, none] | tojson }} {{ {'b': 1, 'B': 2, 'a': 3, 'é': '🙂\u007f'} | tojson(sort_keys=true, ensure_ascii=true) }} {{ '"\\\n\x1f' | tojson }}"""
TEMPLATES["not json"] = "{{ messages[0].nothing | tojson }}"
TOOL = {"type": "function", "function": {"name": "weather", "description": "Says it <now> & 'then'", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": " Which? é "}, "days": {"type": "integer", "description": "how many"}, "unit": {"type": ["string", "null"], "description": "x"}}}}}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich \"x\" <b>", "days": 3, "share": 1.5, "unit": None, "now": True}}}]}
calling = lambda arguments: {"role": "assistant", "content": None, "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "count", "arguments": arguments}}]}
user = lambda content, **more: {"role": "user", "content": content, **more}
assistant = lambda content, **more: {"role": "assistant", "content": content, **more}
system = lambda content: {"role": "system", "content": content}
CONVERSATIONS = {
    "one": [user("Hi  there \n")],
    "system": [system(" Be brief. "), user("Hi")],
    "empty system": [system(""), user("x")],
    "several": [system("S"), user("a"), assistant("<think>\nhm\n</think>\n\n b "), user("c\n\n"), assistant("\n d")],
    "the same again": [user("x"), assistant("y"), user("x"), assistant("y"), user("x")],
    "two users": [user("a"), user("b")],
    "a tool": [user("w?"), CALL, {"role": "tool", "name": "weather", "content": "{\"t\": 3}"}, assistant("3 °C")],
    "two answers of tools": [user("w?"), dict(CALL, content="calling…"), {"role": "tool", "content": "sun"}, {"role": "tool", "content": "rain"}, user("ok")],
    "reasoning": [user("q"), assistant("a", reasoning_content="\nbecause\n")],
    "reasoning by another name": [user("q"), assistant("a", reasoning="why"), user("r"), assistant("b", thinking="how", reasoning=None)],
    "nothing said": [user(""), assistant("")],
    "white space of others": [user("é 日本 🙂 \u0085 \u2028 \x1c x\u00a0"), assistant("\u00a0y\ufeff")],
    "parts": [user([{"type": "text", "text": " hello "}, {"type": "image"}, {"type": "text", "text": "world"}])],
    "null": [user("x"), assistant(None)],
    "other kinds": [user(True), assistant(7)],
    "numbers": [user("n?"), calling({"whole": 1.0, "zero": -0.0, "large": 1e5, "huge": 1e16, "small": 1e-7, "many": [100.0, 2.5, 7], "id": 12345678901234567890, "past": 2**53 + 1, "10": "ten", "2": {"b": 0, "1": 1e300}, "no": 0})],
    "a name": [user("🙂" * 9, name="ÉCOLE heLLo")],
}


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def rendered(template, messages, tools, generation, continued=False):
    try:
        [text], _ = chat_template_utils.render_jinja_template(conversations=[chat_template_utils._normalize_chat_messages(messages)], tools=tools, chat_template=template, add_generation_prompt=generation, continue_final_message=continued, bos_token="<s>", eos_token="</s>")
        return text
    except Exception as error:  # what a template or Python refuses
        return {"refused": type(error).__name__}


def main(path):
    chat_template_utils.datetime = FixedDate
    cases = []
    for template, source in TEMPLATES.items():
        for conversation, messages in CONVERSATIONS.items():
            for tools in [None, [TOOL]] if "tool" in conversation else [None]:
                cases.append({"template": template, "conversation": conversation, "tools": tools is not None, "generation": (generation := len(cases) % 2 == 0), "rendered": rendered(source, messages, tools, generation)})
    continued = [{"template": template, "conversation": conversation, "tools": False, "generation": False, "rendered": rendered(source, messages, None, False, True)} for template, source in TEMPLATES.items() if "content" in source for conversation, messages in CONVERSATIONS.items() if isinstance(messages[-1]["content"], str)]
    result = {"transformers": transformers.__version__, "templates": TEMPLATES, "conversations": CONVERSATIONS, "tools": [TOOL], "cases": cases, "continued": continued}
    with open(path, "w", encoding="utf-8") as out:
        json.dump(result, out, ensure_ascii=True, indent=1)
        out.write("\n")


main(sys.argv[1])
