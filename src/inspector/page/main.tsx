/// <reference lib="dom" />
import { render } from 'preact'

const app = document.querySelector('#app')
if (app) render(<p>OCPS</p>, app)
