import { html, Empty } from '../components.js';

function View() {
  return html`<${Empty} title="Audit is not here yet." />`;
}

export default { id: 'audit', title: 'Audit', needs: 'audit', View };
