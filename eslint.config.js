import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Room beyond the 300 lines that a file should have: a rule that is met by squeezing lines together would serve nobody. */
const MAX_LINES = 330;

const ENVIRONMENT_ONLY_IN_CLI = [
  {
    selector: 'MemberExpression[object.name="process"][property.name="env"]',
    message: 'Only cli/environment.ts reads the environment; take a Config, or what you need of it.',
  },
  {
    selector: 'ImportDeclaration[source.value="node:process"] ImportSpecifier[imported.name="env"]',
    message: 'Only cli/environment.ts reads the environment; take a Config, or what you need of it.',
  },
];

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', '.venv/', '.venv-dev/', '.platform/', 'python/']),
  eslint.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'max-lines': ['error', MAX_LINES],
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...ENVIRONMENT_ONLY_IN_CLI],
      // `== null` is the one test for both of its kinds.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Numbers in texts are what most texts here are made of.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `() => emitter.on(...)` says what it means; its value is nobody's business.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true },
      ],
      // noPropertyAccessFromIndexSignature asks for the brackets that this rule would take away.
      '@typescript-eslint/dot-notation': 'off',
      // Methods that a contract makes asynchronous need nothing to await.
      '@typescript-eslint/require-await': 'off',
      // It would ask for the `!` that no-non-null-assertion forbids.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_' }],
    },
  },
  {
    files: ['specs/**/*.ts', 'bench/**/*.ts'],
    // Nobody imports these: their types may be inferred, and they read the environment as entry points do.
    rules: { 'no-restricted-syntax': 'off', '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  {
    files: ['cli/environment.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['specs/**/*.ts'],
    rules: {
      // chai's `expect(x).to.be.true` is an expression for its effect.
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: { globals: { process: 'readonly', URL: 'readonly', setTimeout: 'readonly' } },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { module: 'writable', require: 'readonly', process: 'readonly' },
    },
  },
);
