import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.StringJoiner;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/** Executes a script, plans each query as a stream, and prints the rows of each query, with tabs between columns. */
public final class Execute {
    public static void main(String[] arguments) throws Exception {
        List<String> statements = List.of(Files.readString(Path.of(arguments[0])).split(";\n"));
        List<String> queries = Files.readAllLines(Path.of(arguments[1]));
        TableEnvironment stream = environment(EnvironmentSettings.inStreamingMode(), statements);
        for (String query : queries) {
            stream.explainSql(query);
        }
        TableEnvironment batch = environment(EnvironmentSettings.inBatchMode(), statements);
        for (String query : queries) {
            try (CloseableIterator<Row> rows = batch.executeSql(query).collect()) {
                rows.forEachRemaining(row -> System.out.println(line(row)));
            }
        }
    }

    private static TableEnvironment environment(EnvironmentSettings settings, List<String> statements) {
        TableEnvironment environment = TableEnvironment.create(settings);
        environment.getConfig().set("table.local-time-zone", "UTC");
        environment.getConfig().set("parallelism.default", "1");
        for (String statement : statements) {
            if (!statement.isBlank()) {
                environment.executeSql(statement);
            }
        }
        return environment;
    }

    private static String line(Row row) {
        StringJoiner line = new StringJoiner("\t");
        for (int column = 0; column < row.getArity(); column++) {
            line.add(String.valueOf(row.getField(column)));
        }
        return line.toString();
    }
}
