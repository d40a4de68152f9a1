/** Who may import whom: see "Rooms" in ARCHITECTURE.md. */

const ROOMS = ['actors', 'api', 'bench', 'bus', 'cli', 'specs', 'workers'];

/** A room, and the rooms it may import from besides itself. The rest of the project is closed to it. */
function mayImportOnly(room, ...allowed) {
  return {
    name: `${room}-imports-only-${[...allowed, 'itself'].join('-and-')}`,
    severity: 'error',
    from: { path: `^${room}/` },
    to: { path: `^(${ROOMS.join('|')})/`, pathNot: [room, ...allowed].map((one) => `^${one}/`) },
  };
}

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one concept in two places.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    mayImportOnly('bus'),
    mayImportOnly('actors', 'bus'),
    mayImportOnly('workers', 'actors', 'bus'),
    mayImportOnly('api', 'bus', 'actors/lifecycles'),
    {
      name: 'cli-is-the-top',
      comment: 'cli/ puts the parts together; a part that needs something of it has it in the wrong place.',
      severity: 'error',
      from: { pathNot: '^(cli|specs|bench)/' },
      to: { path: '^cli/' },
    },
    {
      name: 'what-browsers-run-stands-alone',
      comment: 'Modules of the page are sent to browsers; of the rest of the project they may know types alone.',
      severity: 'error',
      from: { path: '^api/dashboard/page/' },
      to: { path: `^(${ROOMS.join('|')})/`, pathNot: '^api/dashboard/page/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'nobody-imports-what-browsers-run',
      severity: 'error',
      from: { pathNot: '^(api/dashboard/page|specs)/' },
      to: { path: '^api/dashboard/page/' },
    },
    {
      name: 'nobody-imports-main',
      comment: 'Importing it would start it.',
      severity: 'error',
      from: {},
      to: { path: '^cli/main\\.ts$' },
    },
    {
      name: 'specs-and-bench-are-nobodys-parts',
      severity: 'error',
      from: { pathNot: '^(specs|bench)/' },
      to: { path: '^(specs|bench)/' },
    },
    {
      name: 'nothing-unresolved',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-development-packages-in-the-platform',
      comment: 'What runs must be among the dependencies of package.json.',
      severity: 'error',
      from: { path: '^(actors|api|bus|cli|workers)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: ['.ts', '.tsx', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
