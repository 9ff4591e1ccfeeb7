/**
 * How `npm run build` makes dist/lib/agent.cjs: one script of src/ and its libraries, as reading some hundred
 * files is most of what a start takes. Names stay, so that a stack trace says something.
 */
export default {
  input: 'src/agent.ts',
  platform: 'node',
  output: {
    file: 'dist/lib/agent.cjs',
    format: 'cjs',
    codeSplitting: false,
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
  },
};
