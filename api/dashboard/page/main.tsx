import { render } from 'preact';
import { App } from './app.js';
import { keepStreaming } from './stream.js';

const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(<App />, root);
  keepStreaming();
}
