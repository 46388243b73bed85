// Runs a Jenkinsfile with stand-ins for the steps it uses: groovy steps.groovy JENKINSFILE.
// sh runs for real, as the durable task of Jenkins runs it: by sh -xe. The exit status is 0
// for SUCCESS, 3 for UNSTABLE and 1 for a failure. A step without a stand-in is an error.
class Result extends Exception {
    Result(String message) { super(message) }
}

abstract class Steps extends Script {
    static final sections = ['pipeline', 'options', 'stages', 'steps', 'script']
    static String result = 'SUCCESS'
    static Map<String, String> variables = [:]

    def methodMissing(String name, arguments) {
        if (!(name in sections)) throw new MissingMethodException(name, this.class, arguments)
        arguments[0].call()
    }

    def agent(Closure c) { c.call() }
    def label(String text) {}
    def timeout(Map settings) { assert settings.keySet() == ['time', 'unit'] as Set }

    def stage(String name, Closure c) {
        println "[stage] ${name}"
        c.call()
    }

    // An assignment in this section makes a variable; the names are not those of the script.
    def environment(Closure c) {
        c.delegate = new Expando() {
            void setProperty(String name, Object value) { Steps.variables[name] = value.toString() }
        }
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c.call()
    }

    // Jenkins has a secret text behind an id; here a variable has it.
    String credentials(String id) { System.getenv('CREDENTIAL_' + id.replace('-', '_')) }

    def sh(String script) { sh(script: script) }

    def sh(Map settings) {
        assert ['script', 'returnStatus'].containsAll(settings.keySet())
        def builder = new ProcessBuilder('sh', '-xec', settings.script).inheritIO()
        builder.redirectInput(new File('/dev/null'))
        builder.environment().putAll(variables)
        int status = builder.start().waitFor()
        if (settings.returnStatus) return status
        if (status != 0) error("script returned exit code ${status}")
    }

    def unstable(String message) {
        println "WARNING: ${message}"
        result = 'UNSTABLE'
    }

    def error(String message) { throw new Result(message) }
}

def configuration = new org.codehaus.groovy.control.CompilerConfiguration()
configuration.scriptBaseClass = Steps.name
try {
    new GroovyShell(this.class.classLoader, new Binding(), configuration).parse(new File(args[0])).run()
} catch (Result e) {
    println "ERROR: ${e.message}"
    System.exit(1)
}
println "Finished: ${Steps.result}"
System.exit(Steps.result == 'SUCCESS' ? 0 : 3)
