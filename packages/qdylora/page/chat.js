// A conversation with two ranks side by side. No dependencies, and nothing is loaded from elsewhere.

const element = (id) => document.getElementById(id);
const adapterField = element('adapter');
const keyField = element('key');
const problem = element('problem');
const sides = [...document.querySelectorAll('.side')].map((section) => ({
  slider: section.querySelector('.slider'),
  label: section.querySelector('output'),
  list: section.querySelector('.messages'),
  speed: section.querySelector('.speed'),
  messages: [],
}));

/** Models of the server by adapter: the base first, then rising ranks. */
let models = new Map();
let running = null;

function headers() {
  const { value } = keyField;
  return value === '' ? {} : { authorization: `Bearer ${value}` };
}

async function loadModels() {
  const response = await fetch('v1/models', { headers: headers() });
  element('key-field').hidden = response.status !== 401 && keyField.value === '';
  if (response.status === 401) throw new Error('This server needs its API key.');
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  const { data } = await response.json();
  models = new Map();
  for (const model of data) {
    if (!model.id.includes(':')) continue;
    models.set(model.adapter, [...(models.get(model.adapter) ?? []), model]);
  }
  for (const list of models.values()) list.sort((a, b) => a.rank - b.rank);
  adapterField.replaceChildren(...[...models.keys()].map((name) => new Option(name, name)));
  showRanks();
  problem.textContent = '';
}

/** Whether there are models to ask. There are none before the key is known, which may be entered by now. */
async function hasModels() {
  if (models.size === 0) await loadModels().catch(showProblem);
  return models.size > 0;
}

/** The base on the left, the recommended rank on the right. */
function showRanks() {
  const list = models.get(adapterField.value) ?? [];
  const recommended = list.findIndex((model) => model.recommended);
  for (const [i, side] of sides.entries()) {
    side.slider.max = String(Math.max(0, list.length - 1));
    side.slider.value = String(i === 0 ? 0 : Math.max(0, recommended));
    showRank(side);
  }
}

const modelOf = (side) => models.get(adapterField.value)?.[Number(side.slider.value)];

function rankText({ rank, recommended }) {
  if (rank === 0) return 'the base';
  return recommended ? `${rank} (recommended)` : String(rank);
}

function showRank(side) {
  const model = modelOf(side);
  side.label.value = model ? rankText(model) : '';
  side.slider.setAttribute('aria-valuetext', side.label.value);
}

function addMessage(side, role, note) {
  const item = document.createElement('li');
  item.className = role;
  const small = document.createElement('small');
  small.textContent = note;
  const text = document.createElement('span');
  item.append(small, text);
  side.list.append(item);
  return text;
}

/** The chunks of a stream of server-sent events. */
async function* chunksOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data !== '[DONE]') yield JSON.parse(data);
    }
  }
}

/** Shows an answer while it is written. Returns its speed. */
async function readAnswer({ side, model, text }, signal) {
  const began = performance.now();
  let firstAt = null;
  let finish = null;
  let tokens = 0;
  const response = await fetch('v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers() },
    body: JSON.stringify({
      model: model.id,
      messages: model.chat_template ? side.messages : side.messages.slice(-1),
      max_tokens: Number(element('max-tokens').value),
      temperature: Number(element('temperature').value),
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal,
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  for await (const chunk of chunksOf(response)) {
    if (chunk.error) throw new Error(chunk.error.message);
    if (chunk.usage) tokens = chunk.usage.completion_tokens;
    const [choice] = chunk.choices;
    if (choice?.delta.content) {
      firstAt ??= performance.now();
      text.textContent += choice.delta.content;
    }
    finish = choice?.finish_reason ?? finish;
  }
  const seconds = (performance.now() - (firstAt ?? began)) / 1000;
  const speed = tokens > 1 && seconds > 0 ? `${((tokens - 1) / seconds).toFixed(1)} tokens/s, ` : '';
  const wait = `first after ${(((firstAt ?? performance.now()) - began) / 1000).toFixed(1)} s`;
  const cut = finish === 'length' ? ', cut at the limit' : '';
  return `${tokens} tokens, ${speed}${wait}${cut}`;
}

async function answer(side, prompt, signal) {
  const { messages } = side; // "Start over" begins another list
  const model = modelOf(side);
  addMessage(side, 'user', 'You').textContent = prompt;
  const text = addMessage(side, 'assistant', `Rank: ${rankText(model)}`);
  messages.push({ role: 'user', content: prompt });
  try {
    side.speed.textContent = await readAnswer({ side, model, text }, signal);
  } finally {
    // After a stop or an error too: templates demand that user and assistant take turns
    if (text.textContent === '') messages.pop();
    else messages.push({ role: 'assistant', content: text.textContent });
  }
}

async function send(event) {
  event.preventDefault();
  const prompt = element('prompt').value.trim();
  if (prompt === '' || running) return;
  if (!(await hasModels()) || running) return; // sent twice while the models were loaded
  problem.textContent = '';
  running = new AbortController();
  element('send').disabled = true;
  element('stop').disabled = false;
  for (const side of sides) side.speed.textContent = 'reading …';
  const results = await Promise.allSettled(sides.map((side) => answer(side, prompt, running.signal)));
  for (const [i, { status, reason }] of results.entries()) {
    if (status === 'fulfilled') continue;
    sides[i].speed.textContent = 'stopped';
    if (reason.name !== 'AbortError') problem.textContent = reason.message;
  }
  running = null;
  element('send').disabled = false;
  element('stop').disabled = true;
  element('prompt').value = '';
  element('prompt').focus();
}

function startOver() {
  running?.abort();
  for (const side of sides) {
    side.messages = [];
    side.list.replaceChildren();
    side.speed.textContent = '';
  }
}

const showProblem = (error) => {
  problem.textContent = error.message;
};

element('ask').addEventListener('submit', (event) => void send(event));
element('stop').addEventListener('click', () => running?.abort());
element('clear').addEventListener('click', startOver);
element('prompt').addEventListener('keydown', (event) => {
  // an input method confirms its candidate with Enter too
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) element('ask').requestSubmit();
});
element('settings').addEventListener('submit', (event) => event.preventDefault());
adapterField.addEventListener('change', showRanks);
keyField.addEventListener('change', () => loadModels().catch(showProblem));
for (const side of sides) side.slider.addEventListener('input', () => showRank(side));
loadModels().catch(showProblem);
