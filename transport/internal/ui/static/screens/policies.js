import { html, Empty } from '../components.js';

function View() {
  return html`<${Empty} title="Policies is not here yet." />`;
}

export default { id: 'policies', title: 'Policies', needs: 'policies', View };
