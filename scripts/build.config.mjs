/**
 * How `npm run build` makes dist/agent.js: one file of src/ and its libraries, as reading some hundred
 * files is most of what a start takes. Names stay, so that a stack trace says something.
 */
export default {
  input: 'src/agent.ts',
  platform: 'node',
  // They look for their own .proto files beside their own sources.
  external: ['etcd3', '@grpc/grpc-js'],
  output: {
    dir: 'dist',
    format: 'esm',
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
  },
};
