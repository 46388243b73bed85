import { html, Empty } from '../components.js';

function View() {
  return html`<${Empty} title="Server is not here yet." />`;
}

export default { id: 'server', title: 'Server', needs: 'admin', View };
