// Starts the page.

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import './styles/tokens.css';
import './styles/base.css';
import './styles/page.css';
import './styles/card.css';
import './styles/chart.css';
import './styles/tape.css';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has an element #root');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
