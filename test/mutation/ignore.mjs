import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin'

/*
 * What no test can tell: the `types` that setup() only takes for the compiler, and the words of a broken invariant,
 * which says what cannot happen.
 */
export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'types', {
    shouldIgnore(path) {
      const { node, parentPath } = path
      if (node.type === 'ObjectProperty' && node.key.name === 'types') return 'types are for the compiler'
      const isWords = node.type === 'StringLiteral' || node.type === 'TemplateLiteral'
      const isInvariant = parentPath?.isCallExpression() && parentPath.node.callee.name === 'invariant'
      return isWords && isInvariant ? 'an invariant says what cannot happen' : undefined
    },
  }),
]
